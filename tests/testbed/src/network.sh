# shellcheck shell=sh
# Ties the namespace NAME to this one: directly, and through a switch in a namespace of its own.
# usage: network.sh OURS_SWITCHED THEIRS_SWITCHED OURS_DIRECT THEIRS_DIRECT
ip netns add NAMEs
ip link add NAMEh type veth peer name m0 netns NAMEs
ip -n NAME link add d0 type veth peer name m1 netns NAMEs
ip link add NAMEd type veth peer name d1 netns NAME
ip -n NAMEs link add br0 type bridge
for port in m0 m1; do
    ip -n NAMEs link set $port master br0
    ip -n NAMEs link set $port up
done
ip -n NAMEs link set br0 up
ip addr add "$1/30" dev NAMEh
ip addr add "$3/30" dev NAMEd
ip link set NAMEh up
ip link set NAMEd up
ip -n NAME addr add "$2/30" dev d0
ip -n NAME addr add "$4/30" dev d1
ip -n NAME link set lo up
ip -n NAME link set d0 up
ip -n NAME link set d1 up
