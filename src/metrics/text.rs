//! The text format of Prometheus, version 0.0.4.

use std::fmt::Write;

use super::Counter;
use super::histogram::Histogram;

/// The media type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Names and values of labels.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// A text in the making.
#[derive(Default)]
pub struct Text(String);

/// The kind of a metric.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The values of one metric.
pub struct Metric<'a> {
    text: &'a mut Text,
    name: &'static str,
}

impl Text {
    /// Begins a metric. Its values follow.
    pub fn metric(&mut self, kind: Kind, name: &'static str, help: &str) -> Metric<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
        Metric { text: self, name }
    }

    /// Writes a counter without labels.
    pub fn counter(&mut self, name: &'static str, help: &str, value: &Counter) {
        self.metric(Kind::Counter, name, help).value(&[], value.get() as f64);
    }

    /// Writes a gauge without labels.
    pub fn gauge(&mut self, name: &'static str, help: &str, value: f64) {
        self.metric(Kind::Gauge, name, help).value(&[], value);
    }

    pub fn into_string(self) -> String {
        self.0
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{line}");
    }
}

impl Metric<'_> {
    pub fn value(&mut self, labels: Labels<'_>, value: f64) {
        self.sample("", labels, None, value);
    }

    pub fn histogram(&mut self, labels: Labels<'_>, histogram: &Histogram) {
        let read = histogram.read();
        for (bound, count) in read.up_to {
            self.sample("_bucket", labels, Some(&bound.to_string()), count as f64);
        }
        self.sample("_bucket", labels, Some("+Inf"), read.count as f64);
        self.sample("_sum", labels, None, read.sum);
        self.sample("_count", labels, None, read.count as f64);
    }

    fn sample(&mut self, suffix: &str, labels: Labels<'_>, bound: Option<&str>, value: f64) {
        let shown = |(name, value): (&str, &str)| format!("{name}=\"{}\"", escaped(value));
        let labels: Vec<String> = labels.iter().copied().chain(bound.map(|bound| ("le", bound))).map(shown).collect();
        let name = self.name;
        match labels.is_empty() {
            true => self.text.line(format_args!("{name}{suffix} {value}")),
            false => self.text.line(format_args!("{name}{suffix}{{{}}} {value}", labels.join(","))),
        }
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::histogram::COUNTS;

    #[test]
    fn values_have_their_help_their_type_and_escaped_labels() {
        let mut text = Text::default();
        text.gauge("age_seconds", "Age.", 0.5);
        text.metric(Kind::Counter, "calls_total", "Calls.").value(&[("method", "a\"\\\nb"), ("code", "OK")], 7.0);
        let expected = "# HELP age_seconds Age.\n# TYPE age_seconds gauge\nage_seconds 0.5\n# HELP calls_total Calls.\n\
                        # TYPE calls_total counter\ncalls_total{method=\"a\\\"\\\\\\nb\",code=\"OK\"} 7\n";
        assert_eq!(text.into_string(), expected);
    }

    #[test]
    fn a_histogram_ends_with_its_sum_and_its_count() {
        let (mut text, histogram) = (Text::default(), Histogram::new(&COUNTS));
        histogram.add(2);
        histogram.add(500_000);
        text.metric(Kind::Histogram, "items", "Items.").histogram(&[("of", "x")], &histogram);
        let text = text.into_string();
        for line in [
            "items_bucket{of=\"x\",le=\"1\"} 0",
            "items_bucket{of=\"x\",le=\"3\"} 1",
            "items_bucket{of=\"x\",le=\"+Inf\"} 2",
            "items_sum{of=\"x\"} 500002",
            "items_count{of=\"x\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
