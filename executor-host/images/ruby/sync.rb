# Output is seen when it is written, also of a program that is ended before it could flush.
$stdout.sync = true
