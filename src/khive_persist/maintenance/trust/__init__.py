"""What lies in a `.khive` that is not believed, and how a person takes it or moves it away."""
