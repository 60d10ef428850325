vacuum lshookd.change; -- Gives the room of deleted changes back to new ones.
