"""`InvalidTextError`: a settings file is not what its tool reads."""


class InvalidTextError(ValueError):
    """The text is not of its format, or not of the expected shape.

    Attributes:
        line: The line of the error, from 1.
        column: The column of the error, from 1.
    """

    def __init__(self, message: str, text: str, position: int) -> None:
        super().__init__(message)
        self.line = text.count("\n", 0, position) + 1
        self.column = position - text.rfind("\n", 0, position)
