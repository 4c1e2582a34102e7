"""Content of a `.khive` that is not trusted, and its acceptance or removal by a person."""
