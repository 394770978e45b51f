//! Captured packets → TCP connections, each direction put together again.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};

use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket, TcpSlice, TransportSlice};
use pcap_parser::pcapng::{Block, parse_block_be, parse_block_le};
use pcap_parser::{
    Linktype, PcapHeader, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified, parse_pcap_header,
};

/// What a capture holds.
#[derive(Debug, Default)]
pub(crate) struct Capture {
    pub(crate) packets: usize,
    /// In the order of their first packets.
    pub(crate) connections: Vec<Connection>,
    /// Why the file was not read to its end.
    pub(crate) broken: Option<String>,
    /// Packets that are none of TCP over IP, or cut too short to tell.
    pub(crate) other: usize,
    open: HashMap<(SocketAddr, SocketAddr), usize>,
}

/// A TCP connection, or the part of it that was captured.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    /// Whether its opening was captured, so that it is known who is who.
    pub(crate) opened: bool,
    pub(crate) from_client: Half,
    pub(crate) from_server: Half,
}

/// One direction.
#[derive(Debug, Default)]
pub(crate) struct Half {
    /// What was sent, as far as it was captured.
    pub(crate) bytes: Vec<u8>,
    /// Where each packet's part of `bytes` ends, and the packet's number, counted from 1.
    pub(crate) marks: Vec<(usize, usize)>,
    /// Where in `bytes` something is missing, and how many bytes.
    pub(crate) gaps: Vec<(usize, u64)>,
    /// The sequence number that comes next.
    next: Option<u32>,
    /// Where that is, counted from the direction's first byte, what is missing included.
    position: u64,
    /// What came too early, by its position.
    early: BTreeMap<u64, (usize, Vec<u8>)>,
}

impl Capture {
    /// Reads a pcap or pcapng file as far as it can be read.
    pub(crate) fn read(file: &[u8]) -> Self {
        let mut capture = Self::default();
        let read = if file.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) { capture.pcapng(file) } else { capture.pcap(file) };
        capture.broken = read.err();
        for connection in &mut capture.connections {
            connection.from_client.finish();
            connection.from_server.finish();
        }
        // A handshake, or nothing but acknowledgements.
        capture
            .connections
            .retain(|connection| !connection.from_client.is_empty() || !connection.from_server.is_empty());
        capture.connections.iter_mut().for_each(Connection::orient);
        capture
    }

    fn pcap(&mut self, file: &[u8]) -> Result<(), String> {
        let broken = |rest: &[u8]| format!("unreadable record at byte {}", file.len().saturating_sub(rest.len()));
        let (mut rest, header) = parse_pcap_header(file).map_err(|_| broken(file))?;
        let PcapHeader { network, .. } = header;
        let parse = match (header.is_modified_format(), header.is_bigendian()) {
            (true, _) => parse_pcap_frame_modified,
            (false, true) => parse_pcap_frame_be,
            (false, false) => parse_pcap_frame,
        };
        while !rest.is_empty() {
            let (behind, packet) = parse(rest).map_err(|_| broken(rest))?;
            self.packet(network, packet.data);
            rest = behind;
        }
        Ok(())
    }

    fn pcapng(&mut self, file: &[u8]) -> Result<(), String> {
        let (mut rest, mut big_endian) = (file, false);
        let mut links: Vec<Linktype> = Vec::new();
        while !rest.is_empty() {
            let parsed = if big_endian { parse_block_be(rest) } else { parse_block_le(rest) };
            let (behind, block) =
                parsed.map_err(|_| format!("unreadable block at byte {}", file.len().saturating_sub(rest.len())))?;
            if behind.len() >= rest.len() {
                return Err("a block without a length".into());
            }
            rest = behind;
            match block {
                Block::SectionHeader(section) => {
                    big_endian = section.big_endian();
                    links.clear();
                }
                Block::InterfaceDescription(interface) => links.push(interface.linktype),
                Block::EnhancedPacket(packet) => {
                    let link = usize::try_from(packet.if_id).ok().and_then(|index| links.get(index)).copied();
                    let len = usize::try_from(packet.caplen).unwrap_or(usize::MAX).min(packet.data.len());
                    self.packet(link.unwrap_or(Linktype::ETHERNET), packet.data.get(..len).unwrap_or_default());
                }
                Block::SimplePacket(packet) => {
                    let len = usize::try_from(packet.origlen).unwrap_or(usize::MAX).min(packet.data.len());
                    let link = links.first().copied().unwrap_or(Linktype::ETHERNET);
                    self.packet(link, packet.data.get(..len).unwrap_or_default());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn packet(&mut self, link: Linktype, data: &[u8]) {
        self.packets = self.packets.saturating_add(1);
        if let Some(packet) = slice(link, data)
            && let Some(net) = &packet.net
            && let Some((source, destination)) = addresses(net)
            && let Some(TransportSlice::Tcp(tcp)) = &packet.transport
        {
            let source = SocketAddr::new(source, tcp.source_port());
            let destination = SocketAddr::new(destination, tcp.destination_port());
            self.segment(source, destination, tcp);
        } else {
            self.other = self.other.saturating_add(1);
        }
    }

    fn segment(&mut self, source: SocketAddr, destination: SocketAddr, tcp: &TcpSlice<'_>) {
        let opens = tcp.syn() && !tcp.ack();
        let known = self.open.get(&(source, destination)).or_else(|| self.open.get(&(destination, source))).copied();
        // The same ports are used again.
        let known = known.filter(|&at| {
            !opens
                || self.connections.get(at).is_some_and(|known| known.from_client.is_empty() && known.client == source)
        });
        let at = known.unwrap_or_else(|| {
            let at = self.connections.len();
            let (from_client, from_server) = (Half::default(), Half::default());
            // The answer to an opening comes from the server.
            let (client, server) = if tcp.syn() && tcp.ack() { (destination, source) } else { (source, destination) };
            self.connections.push(Connection { client, server, opened: tcp.syn(), from_client, from_server });
            self.open.remove(&(server, client));
            self.open.insert((client, server), at);
            at
        });
        let Some(connection) = self.connections.get_mut(at) else { return };
        let half = if connection.client == source { &mut connection.from_client } else { &mut connection.from_server };
        half.take(tcp.sequence_number(), tcp.syn(), tcp.payload(), self.packets);
    }
}

impl Connection {
    /// Finds out who is who where the opening is missing: ports of callers are the high ones.
    fn orient(&mut self) {
        if !self.opened && self.client.port() < self.server.port() {
            std::mem::swap(&mut self.client, &mut self.server);
            std::mem::swap(&mut self.from_client, &mut self.from_server);
        }
    }
}

impl Half {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.early.is_empty()
    }

    fn take(&mut self, sequence: u32, syn: bool, payload: &[u8], packet: usize) {
        let first = if syn { sequence.wrapping_add(1) } else { sequence };
        let next = *self.next.get_or_insert(first);
        if payload.is_empty() {
            return;
        }
        // Sequence numbers go round: what is less than half of it away in front is early, else it was here before.
        let ahead = first.wrapping_sub(next);
        if ahead < 1 << 31 {
            let position = self.position.saturating_add(u64::from(ahead));
            let early = self.early.entry(position).or_default();
            if early.1.len() < payload.len() {
                *early = (packet, payload.to_vec());
            }
            self.settle();
        } else {
            let known = usize::try_from(next.wrapping_sub(first)).unwrap_or(usize::MAX);
            if let Some(fresh) = payload.get(known..).filter(|fresh| !fresh.is_empty()) {
                self.push(packet, fresh);
                self.settle();
            }
        }
    }

    /// Appends what came early and is due.
    fn settle(&mut self) {
        while let Some(first) = self.early.first_entry().filter(|first| *first.key() <= self.position) {
            let (position, (packet, payload)) = first.remove_entry();
            let known = usize::try_from(self.position.saturating_sub(position)).unwrap_or(usize::MAX);
            if let Some(fresh) = payload.get(known..).filter(|fresh| !fresh.is_empty()) {
                self.push(packet, fresh);
            }
        }
    }

    fn push(&mut self, packet: usize, payload: &[u8]) {
        self.bytes.extend_from_slice(payload);
        self.marks.push((self.bytes.len(), packet));
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.next = self.next.map(|next| next.wrapping_add(len));
        self.position = self.position.saturating_add(u64::from(len));
    }

    /// The capture is over: what is missing does not come any more.
    fn finish(&mut self) {
        while let Some((&position, _)) = self.early.first_key_value() {
            self.gaps.push((self.bytes.len(), position.saturating_sub(self.position)));
            self.position = position;
            self.settle();
        }
    }

    /// The number of the packet that holds the byte before `end`.
    pub(crate) fn packet_at(&self, end: usize) -> usize {
        let at = self.marks.partition_point(|&(mark, _)| mark < end);
        self.marks.get(at).or(self.marks.last()).map_or(0, |&(_, packet)| packet)
    }
}

/// The headers of a packet, whatever of it was captured.
fn slice(link: Linktype, data: &[u8]) -> Option<LaxSlicedPacket<'_>> {
    // Where the type of the payload stands, and how long the header is.
    let behind = |type_at: usize, header: usize| {
        let ether_type =
            data.get(type_at..).and_then(|data| data.first_chunk()).map(|bytes| u16::from_be_bytes(*bytes))?;
        Some(LaxSlicedPacket::from_ether_type(EtherType(ether_type), data.get(header..)?))
    };
    match link {
        Linktype::ETHERNET => LaxSlicedPacket::from_ethernet(data).ok(),
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 | RAW_BSD | RAW_OPENBSD => LaxSlicedPacket::from_ip(data).ok(),
        Linktype::NULL | Linktype::LOOP => LaxSlicedPacket::from_ip(data.get(4..)?).ok(),
        Linktype::LINUX_SLL => behind(14, 16),
        Linktype::LINUX_SLL2 => behind(0, 20),
        _ => None,
    }
}

fn addresses(net: &LaxNetSlice<'_>) -> Option<(IpAddr, IpAddr)> {
    match net {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            Some((header.source_addr().into(), header.destination_addr().into()))
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            Some((header.source_addr().into(), header.destination_addr().into()))
        }
        _ => None,
    }
}

/// Other numbers of raw IP.
const RAW_BSD: Linktype = Linktype(12);
const RAW_OPENBSD: Linktype = Linktype(14);

#[cfg(test)]
mod tests {
    use super::*;

    fn half(segments: &[(u32, &[u8])]) -> Half {
        let mut half = Half::default();
        half.take(u32::MAX - 1, true, b"", 1);
        for (packet, (sequence, payload)) in (2..).zip(segments) {
            half.take(u32::MAX.wrapping_add(*sequence), false, payload, packet);
        }
        half.finish();
        half
    }

    #[test]
    fn segments_in_any_order_make_what_was_sent() {
        // The sequence numbers go round after the first byte.
        let ordered = half(&[(0, b"ab"), (2, b"cd"), (4, b"ef")]);
        assert_eq!((&ordered.bytes[..], &ordered.gaps[..]), (&b"abcdef"[..], &[][..]));
        assert_eq!(ordered.marks, [(2, 2), (4, 3), (6, 4)]);
        assert_eq!((ordered.packet_at(1), ordered.packet_at(2), ordered.packet_at(3)), (2, 2, 3));
        for shuffled in [
            half(&[(4, b"ef"), (2, b"cd"), (0, b"ab")]),
            half(&[(0, b"ab"), (0, b"ab"), (4, b"ef"), (2, b"cd"), (4, b"ef")]),
            half(&[(0, b"abc"), (1, b"bcd"), (2, b"cdef"), (3, b"d")]),
            half(&[(2, b"c"), (2, b"cd"), (3, b"def"), (0, b"ab")]),
        ] {
            assert_eq!((&shuffled.bytes[..], &shuffled.gaps[..]), (&b"abcdef"[..], &[][..]));
        }
    }

    #[test]
    fn what_is_missing_is_told() {
        let half = half(&[(0, b"ab"), (5, b"fg"), (9, b"jk")]);
        assert_eq!(half.bytes, b"abfgjk");
        assert_eq!(half.gaps, [(2, 3), (4, 2)]);
    }
}
