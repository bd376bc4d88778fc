//! An address and port as a record stores them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Address and port of a client or broker. The port is an `int` on disk and kept as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Host {
    /// The address.
    pub ip: IpAddr,
    /// The port.
    pub port: i32,
}

impl Host {
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let (ip, port) = if let Some((ip, port)) = bytes.split_first_chunk::<16>() {
            (IpAddr::V6(Ipv6Addr::from(*ip)), port)
        } else if let Some((ip, port)) = bytes.split_first_chunk::<4>() {
            (IpAddr::V4(Ipv4Addr::from(*ip)), port)
        } else {
            (IpAddr::V4(Ipv4Addr::UNSPECIFIED), bytes)
        };
        Self { ip, port: crate::bytes::i32_at(port, 0).unwrap_or(0) }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            IpAddr::V4(ip) => write!(f, "{ip}:{}", self.port),
            IpAddr::V6(ip) => write!(f, "[{ip}]:{}", self.port),
        }
    }
}
