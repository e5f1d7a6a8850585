cat("Hello", "from", LETTERS[18], fill = TRUE)
