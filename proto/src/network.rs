//! Networks: addresses that begin alike, as operators write them.

use alloc::string::String;
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadNetwork(String);

impl fmt::Display for BadNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no network; write it like 10.0.0.0/8 or 2001:db8::/32", self.0)
    }
}

impl core::error::Error for BadNetwork {}

/// An IPv4 address in IPv6 clothes has so many bits before its own: `::ffff:0:0/96`.
const MAPPED_BITS: u8 = 96;

/// Addresses that begin alike: `10.0.0.0/8`, `::1`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// The network of an address, however it was written: without the bits behind its length, and IPv4 out of its IPv6 clothes.
    fn masked(address: IpAddr, bits: u8) -> Self {
        let (address, bits) = match (address, bits.checked_sub(MAPPED_BITS)) {
            (IpAddr::V6(_), Some(rest)) if address.to_canonical().is_ipv4() => {
                (address.to_canonical(), rest)
            }
            _ => (address, bits),
        };
        let address = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(u32::from(bits)));
                IpAddr::V4((address.to_bits() & mask.unwrap_or(0)).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(u32::from(bits)));
                IpAddr::V6((address.to_bits() & mask.unwrap_or(0)).into())
            }
        };
        Self { address, bits }
    }

    /// Whether the address is one of them. An IPv4 address in IPv6 clothes is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let apart = ours.to_bits() ^ theirs.to_bits();
                apart.checked_shr(32_u32.saturating_sub(u32::from(self.bits))).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let apart = ours.to_bits() ^ theirs.to_bits();
                apart.checked_shr(128_u32.saturating_sub(u32::from(self.bits))).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let wrong = || BadNetwork(text.chars().take(64).collect());
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| wrong()))?;
        if bits > most {
            return Err(wrong());
        }
        Ok(Self::masked(address, bits))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_network_contains_what_begins_alike() {
        let ten: Network = "10.0.0.0/8".parse().unwrap();
        assert!(
            ten.contains("10.255.0.1".parse().unwrap())
                && !ten.contains("11.0.0.1".parse().unwrap())
        );
        assert!(ten.contains("::ffff:10.1.2.3".parse().unwrap()));
        let all: Network = "::/0".parse().unwrap();
        assert!(
            all.contains("2001:db8::1".parse().unwrap())
                && !all.contains("10.0.0.1".parse().unwrap())
        );
        let one: Network = "::1".parse().unwrap();
        assert!(one.contains("::1".parse().unwrap()) && !one.contains("::2".parse().unwrap()));
        let written = |text: &str| text.parse::<Network>().unwrap().to_string();
        assert_eq!(written("10.1.2.3/8"), "10.0.0.0/8");
        assert_eq!(written("::ffff:10.1.2.3/104"), "10.0.0.0/8");
        assert_eq!(written("::ffff:10.1.2.3"), "10.1.2.3/32");
        assert_eq!(written("2001:db8::1/32"), "2001:db8::/32");
        assert_eq!((written("::1/0"), written("1.2.3.4/0")), ("::/0".into(), "0.0.0.0/0".into()));
        assert!("10.0.0.0/33".parse::<Network>().is_err() && "ten/8".parse::<Network>().is_err());
    }
}
