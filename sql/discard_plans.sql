-- Plans are made anew when they are needed next.
discard plans;
