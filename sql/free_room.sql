-- Gives the room of deleted changes back to new ones.
vacuum lshookd.change;
