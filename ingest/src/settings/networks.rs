//! `[ingest] declared_networks`: where plain RTSP may be spoken (RULES P34).
//!
//! RTSP shows the pictures, and with basic authentication the account, to everyone on the way, so a camera must stand in a network
//! that the deployer declares to be its own, and redirects to no other. Checked is what is written: names are not resolved.

use std::{net::IpAddr, str::FromStr, sync::Arc};

use ipnet::IpNet;
use url::{Host, Url};
use xueliang_settings::Reader;

/// Loopback, private, link-local and unique local addresses, and this machine's name.
const DEFAULT: [&str; 9] = [
    "127.0.0.0/8",
    "::1/128",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "fc00::/7",
    "fe80::/10",
    "localhost",
];

/// Networks and names that the deployer declared; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredNetworks(Option<Arc<[Declared]>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Declared {
    Network(IpNet),
    /// A name and every name below it.
    Name(String),
}

impl Default for DeclaredNetworks {
    fn default() -> Self {
        Self::of(DEFAULT).unwrap_or(Self(Some(Arc::from([]))))
    }
}

impl DeclaredNetworks {
    /// These networks, addresses and names; the error says what is allowed.
    pub fn of<'t>(declared: impl IntoIterator<Item = &'t str>) -> Result<Self, String> {
        let declared: Result<Vec<Declared>, String> = declared.into_iter().map(str::parse).collect();
        declared.map(|declared| Self(Some(declared.into())))
    }

    /// For one who only passes settings on and does not know the networks of the worker that will pull the camera.
    pub fn unknown() -> Self {
        Self(None)
    }

    /// Reads `declared_networks`; what is written takes the place of the defaults.
    pub(super) fn read(ingest: &mut Reader<'_>) -> Self {
        let is_given = ingest.has("declared_networks");
        let declared = ingest.texts::<Declared>("declared_networks");
        if is_given { Self(Some(declared.into())) } else { Self::default() }
    }

    /// Reports an address outside.
    pub(super) fn check(&self, camera: &Reader<'_>, url: &Url) {
        if !self.holds(url) {
            let problem = "lies in no declared network: plain RTSP shows pictures to everyone on the way (RULES P34)";
            let cure = "reach the camera inside a network of yours (a VPN, a private line), and if it isn't loopback or a private range \
                add it to [ingest] declared_networks, as [\"203.0.113.0/24\"] or as a name";
            camera.refuse("url", problem, cure);
        }
    }

    /// True for an address inside.
    pub fn holds(&self, url: &Url) -> bool {
        let Some(declared) = &self.0 else { return true };
        // The url crate reads IPv4 addresses only of schemes that it knows; of rtsp they come as names.
        let address: Result<IpAddr, &str> = match url.host() {
            Some(Host::Ipv4(address)) => Ok(address.into()),
            Some(Host::Ipv6(address)) => Ok(address.into()),
            Some(Host::Domain(name)) => name.parse().map_err(|_| name),
            None => return false,
        };
        declared.iter().any(|declared| match (declared, address) {
            (Declared::Network(network), Ok(address)) => network.contains(&address.to_canonical()),
            (Declared::Name(name), Err(asked)) => is_below(&asked.to_ascii_lowercase(), name),
            _ => false,
        })
    }
}

fn is_below(asked: &str, name: &str) -> bool {
    asked.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

impl FromStr for Declared {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        if let Ok(network) = network {
            return Ok(Self::Network(network));
        }
        let is_label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
        if begins && text.split('.').all(is_label) {
            return Ok(Self::Name(text.to_ascii_lowercase()));
        }
        Err(format!(
            "{text:?} is no network; write \"10.0.0.0/8\", \"fd00::/8\", one address, or a name such as \"cameras.example\""
        ))
    }
}

#[cfg(test)]
mod tests {
    use xueliang_settings::Document;

    use super::*;

    fn read(text: &str) -> Result<DeclaredNetworks, String> {
        let document = Document::from_text("x.toml", text);
        document.read(|root| Some(DeclaredNetworks::read(root))).map_err(|mistakes| mistakes.to_string())
    }

    fn holds(networks: &DeclaredNetworks, host: &str) -> bool {
        networks.holds(&Url::parse(&format!("rtsp://{host}/1")).unwrap())
    }

    #[test]
    fn p34_left_out_only_private_addresses_are_declared() {
        let networks = read("").unwrap();
        for inside in
            ["127.0.0.1:8554", "10.9.8.7", "172.31.0.1", "192.168.1.10:554", "[::1]", "[fd12::1]", "localhost"]
        {
            assert!(holds(&networks, inside), "{inside}");
        }
        let outside = [
            "8.8.8.8",
            "172.32.0.1",
            "192.0.2.10",
            "[2001:db8::1]",
            "[::ffff:8.8.8.8]",
            "camera.example",
            "2130706433",
        ];
        for outside in outside {
            assert!(!holds(&networks, outside), "{outside}");
        }
    }

    #[test]
    fn p34_what_is_declared_takes_the_place_of_the_defaults() {
        let networks =
            read("declared_networks = [\"203.0.113.0/24\", \"2001:db8::7\", \"Cameras.example\"]\n").unwrap();
        for inside in
            ["203.0.113.9", "[2001:db8::7]", "cameras.example", "gate.CAMERAS.example", "[::ffff:203.0.113.9]"]
        {
            assert!(holds(&networks, inside), "{inside}");
        }
        for outside in ["10.0.0.1", "127.0.0.1", "203.0.114.1", "[2001:db8::8]", "othercameras.example", "example"] {
            assert!(!holds(&networks, outside), "{outside}");
        }
        assert!(!holds(&read("declared_networks = []\n").unwrap(), "127.0.0.1"));
        for wrong in ["10.0.0.0/33", "10.0.0", "*", "a..b", ""] {
            let mistake = read(&format!("declared_networks = [{wrong:?}]\n")).unwrap_err();
            assert!(mistake.contains("x.toml:1: declared_networks") && mistake.contains("is no network"), "{mistake}");
        }
    }
}
