import TokenServiceCommand

// A program of one's own that takes another exporter for its traces, say, has this line, too.
await TokenServiceCommand.main()
