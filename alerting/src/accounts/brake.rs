//! A brake on guessing from one client address, in this process; what is locked by name stands in the store.
//!
//! Many accounts tried from one place meet it, one account tried from many places meets the store's. Invariants: an IPv6
//! network counts as one client, as its addresses are free to choose; when too many clients are known, others pass.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use jiff::Timestamp;
use parking_lot::Mutex;

const FAILURES: u32 = 30;
const FAILURES_WITHIN: Duration = Duration::from_secs(15 * 60);
const MAX_CLIENTS: usize = 10_000;

/// Failed tries by client.
#[derive(Debug, Default)]
pub(super) struct Brake(Mutex<HashMap<IpAddr, (u32, Timestamp)>>);

impl Brake {
    /// How long this client must wait, if it must.
    pub fn check(&self, client: IpAddr, now: Timestamp) -> Result<(), Duration> {
        let failures = self.0.lock();
        let Some((n_failed, since)) = failures.get(&network(client)) else { return Ok(()) };
        let age = now.duration_since(*since).unsigned_abs();
        if *n_failed < FAILURES || age >= FAILURES_WITHIN {
            return Ok(());
        }
        Err(FAILURES_WITHIN - age)
    }

    /// Counts a failure.
    pub fn failed(&self, client: IpAddr, now: Timestamp) {
        let is_recent = |since: &Timestamp| now.duration_since(*since).unsigned_abs() < FAILURES_WITHIN;
        let mut failures = self.0.lock();
        if failures.len() >= MAX_CLIENTS {
            failures.retain(|_, (_, since)| is_recent(since));
        }
        let is_full = failures.len() >= MAX_CLIENTS;
        match failures.get_mut(&network(client)) {
            Some((n_failed, since)) if is_recent(since) => *n_failed = n_failed.saturating_add(1),
            Some(ended) => *ended = (1, now),
            None if is_full => {}
            None => drop(failures.insert(network(client), (1, now))),
        }
    }
}

/// The address itself, or an IPv6 address' network.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_fails_often_waits_and_others_do_not() {
        let brake = Brake::default();
        let now: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for _ in 0..FAILURES {
            assert_eq!(brake.check(address("2001:db8::1"), now), Ok(()));
            brake.failed(address("2001:db8::1"), now);
        }
        assert_eq!(brake.check(address("2001:db8::ffff"), now), Err(FAILURES_WITHIN), "the same network");
        assert_eq!(brake.check(address("2001:db8:0:1::1"), now), Ok(()));
        assert_eq!(brake.check(address("192.0.2.1"), now), Ok(()));
        let later = now.checked_add(FAILURES_WITHIN).unwrap();
        assert_eq!(brake.check(address("2001:db8::1"), later), Ok(()));
        brake.failed(address("2001:db8::1"), later);
        assert_eq!(brake.check(address("2001:db8::1"), later), Ok(()), "counted anew");
    }

    #[test]
    fn an_address_in_either_form_is_one_client() {
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), "192.0.2.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn the_number_of_known_clients_is_bounded() {
        let brake = Brake::default();
        let now: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
        for number in 0..MAX_CLIENTS as u32 + 5 {
            brake.failed(IpAddr::from(number.to_be_bytes()), now);
        }
        assert_eq!(brake.0.lock().len(), MAX_CLIENTS);
        brake.failed("192.0.2.1".parse().unwrap(), now.checked_add(FAILURES_WITHIN).unwrap());
        assert_eq!(brake.0.lock().len(), 1, "those of long ago make room");
    }
}
