vacuum lshookd.change, lshookd.capture_error; -- Gives the room of deleted rows back to new ones.
