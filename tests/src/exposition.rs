//! The text format of Prometheus, version 0.0.4, read by its rules and not by what chatd happens to write: whatever breaks one fails the test.
//!
//! The rules are those of the format's description: a family is declared once, before its samples, which stand together; a name has a
//! suffix or a label of its own only where the family's type has it.

use std::collections::BTreeMap;

/// A series: its name, and its labels in their order.
pub type Series = (String, Vec<(String, String)>);

/// Families by name, and samples by series.
#[derive(Debug, Default)]
pub struct Exposition {
    /// The type of each family.
    pub families: BTreeMap<String, String>,
    /// The value of each series.
    pub samples: BTreeMap<Series, f64>,
}

impl Exposition {
    /// Reads a page; panics where it breaks a rule.
    pub fn read(page: &str) -> Self {
        assert!(page.ends_with('\n'), "the last line ends, too");
        let mut this = Self::default();
        let (mut helped, mut current) = (Vec::new(), None);
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(!help.is_empty() && !helped.contains(&name), "{line}");
                helped.push(name);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                let kinds = ["counter", "gauge", "histogram", "summary"];
                assert!(kinds.contains(&kind), "{line}");
                let before = this.families.insert(name.to_owned(), kind.to_owned());
                assert!(before.is_none(), "{name} is declared twice");
                current = Some((name, kind));
            } else {
                assert!(!line.starts_with('#') && !line.is_empty(), "{line}");
                let family = current.unwrap_or_else(|| panic!("{line} belongs to no family"));
                this.take(line, family);
            }
        }
        assert_eq!(helped.len(), this.families.len(), "each family says what it is");
        this.check();
        this
    }

    /// The value of a series without labels.
    pub fn value(&self, name: &str) -> f64 {
        self.samples[&(name.to_owned(), Vec::new())]
    }

    fn take(&mut self, line: &str, (family, kind): (&str, &str)) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let value = match value {
            "+Inf" => f64::INFINITY,
            "-Inf" => f64::NEG_INFINITY,
            "NaN" => f64::NAN,
            digits => digits.parse().unwrap_or_else(|error| panic!("{line}: {error}")),
        };
        let (name, labels) = match series.split_once('{') {
            None => (series, Vec::new()),
            Some((name, rest)) => (name, labels(rest.strip_suffix('}').unwrap())),
        };
        assert!(is_name(name), "{line}");
        let has = |wanted: &str| labels.iter().any(|(label, _)| label == wanted);
        let suffix = name.strip_prefix(family);
        let suffix = suffix.unwrap_or_else(|| panic!("{line} stands below {family}"));
        let fits = match (kind, suffix) {
            ("counter" | "gauge", "") | ("summary" | "histogram", "_sum" | "_count") => {
                !has("le") && !has("quantile")
            }
            ("summary", "") => has("quantile") && !has("le"),
            ("histogram", "_bucket") => has("le") && !has("quantile"),
            _ => false,
        };
        assert!(fits, "{line} is nothing that a {kind} has");
        let is_counted = kind == "counter" || matches!(suffix, "_bucket" | "_count");
        assert!(!is_counted || value >= 0.0, "{line} counts");
        let before = self.samples.insert((name.to_owned(), labels), value);
        assert!(before.is_none(), "{line} is there twice");
    }

    /// What only the whole page shows: each family has samples, buckets grow up to the count, quantiles are shares.
    fn check(&self) {
        for (family, kind) in &self.families {
            let of = |suffix: &str| {
                let name = format!("{family}{suffix}");
                self.samples.iter().filter(move |((other, _), _)| *other == name)
            };
            let number = |labels: &[(String, String)], wanted: &str| -> f64 {
                let (_, text) = labels.iter().find(|(label, _)| label == wanted).unwrap();
                if text == "+Inf" { f64::INFINITY } else { text.parse().unwrap() }
            };
            if matches!(&**kind, "counter" | "gauge") {
                assert!(of("").count() > 0, "{family} has no sample");
                continue;
            }
            assert_eq!((of("_sum").count(), of("_count").count()), (1, 1), "{family}");
            if kind == "summary" {
                let shares: Vec<f64> =
                    of("").map(|((_, labels), _)| number(labels, "quantile")).collect();
                assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{family}");
                continue;
            }
            let mut buckets: Vec<(f64, f64)> =
                of("_bucket").map(|((_, labels), count)| (number(labels, "le"), *count)).collect();
            buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            assert!(buckets.is_sorted_by(|(_, a), (_, b)| a <= b), "{family}: buckets add up");
            let last = buckets.last().unwrap_or_else(|| panic!("{family} has no bucket"));
            assert_eq!(*last, (f64::INFINITY, self.value(&format!("{family}_count"))), "{family}");
        }
    }
}

/// Labels without their braces: NAME="VALUE", with commas between; values that need a backslash are none of ours.
fn labels(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(',').map(|pair| {
        let (name, value) = pair.split_once('=').unwrap();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap();
        assert!(is_name(name) && !value.contains(['"', '\\', '\n']), "{pair}");
        (name.to_owned(), value.to_owned())
    });
    pairs.collect()
}

fn is_name(name: &str) -> bool {
    let is_begin = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    name.starts_with(is_begin) && name.chars().all(|c| is_begin(c) || c.is_ascii_digit())
}
