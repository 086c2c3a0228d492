//! How signed heads get out: counted by the one thread that sends them, read by whoever is asked for numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::admin::metrics::{head, line};

/// Where heads go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// They are posted.
    Webhook,
    /// They become objects of a bucket.
    Bucket,
}

impl Destination {
    /// A short stable name: the key of the config.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Bucket => "s3",
        }
    }
}

/// The numbers of all destinations.
#[derive(Debug, Default)]
pub struct HeadCounts {
    webhook: Counts,
    bucket: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    arrived: AtomicU64,
    failed: AtomicU64,
    /// Records that the newest one that has arrived is about.
    records: AtomicU64,
}

impl HeadCounts {
    const fn of(&self, destination: Destination) -> &Counts {
        match destination {
            Destination::Webhook => &self.webhook,
            Destination::Bucket => &self.bucket,
        }
    }

    /// Counts a head about `records` records that has arrived.
    pub fn arrived(&self, destination: Destination, records: u64) {
        let counts = self.of(destination);
        counts.arrived.fetch_add(1, Ordering::Relaxed);
        counts.records.store(records, Ordering::Relaxed);
    }

    /// Counts a failure; the head is sent again.
    pub fn failed(&self, destination: Destination) {
        self.of(destination).failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds the numbers of these destinations to a text for Prometheus.
    pub fn render(&self, destinations: &[Destination], out: &mut String) {
        if destinations.is_empty() {
            return;
        }
        type Number = fn(&Counts) -> &AtomicU64;
        let numbers: [(&str, &str, &str, Number); 3] = [
            ("tollgate_ledger_heads_sent_total", "counter", "Signed heads that have arrived.", |counts| {
                &counts.arrived
            }),
            (
                "tollgate_ledger_heads_failed_total",
                "counter",
                "Signed heads that have not; each is sent again.",
                |counts| &counts.failed,
            ),
            (
                "tollgate_ledger_head_sent_records",
                "gauge",
                "Records that the newest head is about that has arrived since the start.",
                |counts| &counts.records,
            ),
        ];
        for (name, kind, help, number) in numbers {
            head(out, name, kind, help);
            for destination in destinations {
                let value = number(self.of(*destination)).load(Ordering::Relaxed);
                line(out, name, &format!("to=\"{}\"", destination.name()), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Destination, HeadCounts};

    #[test]
    fn each_destination_has_its_numbers() {
        let counts = HeadCounts::default();
        counts.arrived(Destination::Bucket, 70);
        counts.arrived(Destination::Bucket, 90);
        counts.failed(Destination::Webhook);
        let mut text = String::new();
        counts.render(&[Destination::Webhook, Destination::Bucket], &mut text);
        for wanted in [
            "tollgate_ledger_heads_sent_total{to=\"s3\"} 2\n",
            "tollgate_ledger_heads_sent_total{to=\"webhook\"} 0\n",
            "tollgate_ledger_heads_failed_total{to=\"webhook\"} 1\n",
            "tollgate_ledger_head_sent_records{to=\"s3\"} 90\n",
        ] {
            assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
        }
        let mut none = String::new();
        counts.render(&[], &mut none);
        assert_eq!(none, "");
    }
}
