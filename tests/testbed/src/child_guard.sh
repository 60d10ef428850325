#!/bin/sh
# Runs a command for as long as somebody holds our standard input open, so that nothing is
# left behind when a test is killed. Prints the command's process id first; standard output
# closes when all is cleaned up.
# usage: child_guard.sh CLEAN_UP COMMAND [ARGUMENT ...]
clean_up=$1
shift
exec 3<&0
exec 4>&1
setsid "$@" </dev/null >&2 3<&- 4>&- &
child=$!
echo "$child"
exec >/dev/null 2>&1
(
    trap '' INT TERM HUP # A signal to the whole group must not keep us from cleaning up.
    read -r _ <&3
    kill -TERM "-$child" 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        kill -0 "-$child" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "-$child" 2>/dev/null
    eval "$clean_up"
) &
exec 4>&-
wait "$child"
exit $?
