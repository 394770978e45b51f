"""Makes the captures beside it with scapy, of what live Kitex peers sent each other (testkit/vectors/captures-streaming.json).

    python3 make.py        # needs scapy

`streams.pcap`: ttstream, gRPC and ping-pong connections over Ethernet, one after the other, with handshakes, a
retransmission, segments that come in another order, and an ARP packet. `gap.pcapng`: IPv6, two segments are missing.
"""

import json
import pathlib

from scapy.all import ARP, IP, TCP, Ether, IPv6, Raw, conf, wrpcap, wrpcapng

conf.verb = 0
HERE = pathlib.Path(__file__).parent
CAPTURES = json.loads((HERE / "../../../../testkit/vectors/captures-streaming.json").resolve().read_text())["captures"]


def connection(chunks, port, net, packets, clock, mss=1460, mangle=lambda segments: segments, handshake=True):
    """Appends the packets of one connection."""
    ends = {"client": (port, 8888), "server": (8888, port)}
    sequence = {"client": 1000, "server": 4_294_967_200}

    def put(side, flags, payload=b""):
        other = "server" if side == "client" else "client"
        sport, dport = ends[side]
        tcp = TCP(sport=sport, dport=dport, seq=sequence[side] % 2**32, ack=sequence[other] % 2**32, flags=flags)
        packet = net(side) / tcp / Raw(payload) if payload else net(side) / tcp
        sequence[side] += len(payload) + ("S" in flags or "F" in flags)
        return packet

    made = []
    if handshake:
        made += [put("client", "S"), put("server", "SA"), put("client", "A")]
    else:
        sequence = {side: number + 1 for side, number in sequence.items()}
    data = []
    for chunk in chunks:
        payload = bytes.fromhex(chunk["hex"])
        for at in range(0, len(payload), mss):
            data.append(put(chunk["from"], "PA", payload[at : at + mss]))
    made += mangle(data) + [put("client", "FA"), put("server", "FA"), put("client", "A")]
    for packet in made:
        packet.time = clock[0]
        clock[0] += 0.0001
        packets.append(packet)


def chunks_of(name, index=0):
    capture = next(capture for capture in CAPTURES if capture["id"] == name)
    return [chunk for chunk in capture["connections"][index]["chunks"] if chunk["hex"]]


def ethernet(side):
    client, server = "10.0.0.1", "10.0.0.2"
    source, destination = (client, server) if side == "client" else (server, client)
    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src=source, dst=destination)


def ipv6(side):
    client, server = "fd00::1", "fd00::2"
    source, destination = (client, server) if side == "client" else (server, client)
    return IPv6(src=source, dst=destination)


def twice_and_swapped(segments):
    """The second segment comes again, and two neighbours of one side change places."""
    segments = segments[:2] + [segments[1]] + segments[2:]
    for at in range(3, len(segments) - 1):
        one, two = segments[at][TCP], segments[at + 1][TCP]
        if one.sport == two.sport:
            segments[at], segments[at + 1] = segments[at + 1], segments[at]
            break
    return segments


if __name__ == "__main__":
    packets, clock = [], [1_700_000_000.0]
    packets.append(Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff") / ARP(pdst="10.0.0.2"))
    packets[0].time = clock[0]
    connection(chunks_of("C001"), 50001, ethernet, packets, clock, mss=20, mangle=twice_and_swapped)
    for port, name in ((50002, "C002"), (50005, "C066"), (50006, "C026")):
        connection(chunks_of(name), port, ethernet, packets, clock, mss=700)
    calls = [
        {"from": "client", "hex": "0000001a80010001000000046563686f000000010b000100000002686900"},
        {"from": "server", "hex": "0000001a80010002000000046563686f000000010b000000000002686900"},
    ]
    connection(calls, 50003, ethernet, packets, clock)
    wrpcap(str(HERE / "streams.pcap"), packets)

    packets, clock = [], [1_700_000_000.0]

    def lose(segments):
        return [segment for index, segment in enumerate(segments) if index not in (2, 3)]

    connection(chunks_of("C001"), 50004, ipv6, packets, clock, mangle=lose, handshake=False)
    wrpcapng(str(HERE / "gap.pcapng"), packets)
