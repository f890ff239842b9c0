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

/// Addresses that begin alike: `10.0.0.0/8`, `::1`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
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
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
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
        assert!("10.0.0.0/33".parse::<Network>().is_err() && "ten/8".parse::<Network>().is_err());
    }
}
