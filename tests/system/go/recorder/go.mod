module example.com/recorder

go 1.21

require golang.org/x/sys v0.28.0
