//! Dates at the ends of the calendar, and dates that are none: whatever a feed writes, nothing panics, and what is read
//! can be stored, read back and made into a case id.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::Value;
use tourniquet::case::CaseId;
use tourniquet::event::Parsed;
use tourniquet::timestamp::Timestamp;

use super::hostile::with;
use crate::checks::event::check;
use crate::support::{finding, sample};

/// Every field that is read as a date, by sample.
const FIELDS: [(&str, &[&str]); 4] = [
    (
        "leaked-access-key",
        &["/detail/createdAt", "/detail/updatedAt", "/detail/service/eventFirstSeen", "/detail/service/eventLastSeen", "/time"],
    ),
    (
        "leaked-access-key-security-hub-copy",
        &[
            "/detail/findings/0/CreatedAt",
            "/detail/findings/0/UpdatedAt",
            "/detail/findings/0/FirstObservedAt",
            "/detail/findings/0/LastObservedAt",
        ],
    ),
    (
        "leaked-access-key-ocsf-copy",
        &[
            "/detail/findings/0/finding_info/first_seen_time",
            "/detail/findings/0/finding_info/first_seen_time_dt",
            "/detail/findings/0/finding_info/last_seen_time",
            "/detail/findings/0/finding_info/last_seen_time_dt",
            "/detail/findings/0/finding_info/created_time",
            "/detail/findings/0/finding_info/created_time_dt",
            "/time",
        ],
    ),
    ("exposed-key-health", &["/detail/startTime", "/detail/lastUpdatedTime", "/time"]),
];

/// Days at and beyond the ends of the calendar, as often as ordinary ones.
fn year() -> impl Strategy<Value = i32> {
    prop_oneof![prop::sample::select(vec![-9999, -1, 0, 1, 2, 9997, 9998, 9999, 10_000, 99_999]), 1970..2100_i32, any::<i32>(),]
}

fn date() -> impl Strategy<Value = Value> {
    let day = prop_oneof![Just((1, 1)), Just((12, 31)), Just((2, 29)), (0..14_u8, 0..33_u8)];
    let time = prop_oneof![Just((0, 0, 0)), Just((23, 59, 59)), Just((23, 59, 60)), (0..25_u8, 0..61_u8, 0..62_u8)];
    let offset = prop_oneof![
        Just("Z".to_owned()),
        prop::sample::select(vec!["+00:00", "-23:59", "+23:59", "+24:00", "-00:01", "+14:00", "+01", ""]).prop_map(str::to_owned),
    ];
    let fraction = prop_oneof![Just(String::new()), "\\.[0-9]{1,12}"];
    let text = (year(), day, time, fraction, offset, any::<u8>()).prop_map(
        |(year, (month, day), (hour, minute, second), fraction, offset, form)| match form % 4 {
            0 => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction}"),
            1 => format!("Sat, {day:02} Dec {year:04} {hour:02}:{minute:02}:{second:02} GMT"),
            2 => format!("{year:+05}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{offset}"),
            _ => format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{offset}"),
        },
    );
    // The first and the last instant of the calendar in milliseconds, and those just beyond.
    let ends = prop::sample::select(vec![
        -62_135_596_800_001_i64,
        -62_135_596_800_000,
        253_370_764_799_999,
        253_370_764_800_000,
        253_402_300_799_999,
        253_402_300_800_000,
        i64::MIN,
        i64::MAX,
    ]);
    prop_oneof![
        6 => text.prop_map(Value::from),
        1 => any::<String>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => ends.clone().prop_map(Value::from),
        1 => ends.prop_map(|milliseconds| Value::from(milliseconds.to_string())),
        1 => any::<f64>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_finding_of_any_date_is_stored_and_read_back_and_has_a_case(
        of in 0..FIELDS.len(), dates in prop::collection::vec(date(), 7), all in any::<bool>(), one in any::<prop::sample::Index>(),
    ) {
        let (name, fields) = FIELDS[of];
        let mut event: Value = serde_json::from_slice(&sample(name)).expect("JSON");
        for (at, (field, date)) in fields.iter().zip(&dates).enumerate() {
            if all || at == one.index(fields.len()) {
                *event.pointer_mut(field).expect("a date of the sample") = date.clone();
            }
        }
        // `check` stores it, reads it back whole and parses its case id.
        check(&serde_json::to_vec(&event).expect("JSON"));
    }

    #[test]
    fn what_is_read_as_an_instant_is_written_so_that_it_is_read_as_the_same(date in date()) {
        let Some(text) = date.as_str() else { return Ok(()) };
        if let Ok(instant) = Timestamp::parse(text) {
            prop_assert_eq!(Timestamp::parse(&instant.to_string()), Ok(instant));
            // Rounded up to a whole second, only the very last one leaves the calendar.
            let last = Timestamp::parse("9998-12-31T23:59:59Z").expect("a timestamp");
            prop_assert!(instant > last || Timestamp::parse(&instant.to_policy_date()).is_ok_and(|policy| policy >= instant), "{text}");
            prop_assert!(instant.to_day().len() == 8 && instant.to_day().bytes().all(|byte| byte.is_ascii_digit()), "{text}");
        }
    }

    #[test]
    fn a_duration_of_any_length_is_added_without_panic(date in date(), seconds in any::<u64>()) {
        if let Some(Ok(instant)) = date.as_str().map(Timestamp::parse) {
            let later = instant.plus(std::time::Duration::from_secs(seconds));
            prop_assert!(later >= instant && later.to_day().len() == 8 && later.to_policy_date().ends_with('Z'));
        }
    }

    #[test]
    fn an_instant_from_the_epoch_is_written_so_that_it_is_read_as_the_same(
        seconds in prop_oneof![any::<i64>(), -62_135_596_810..-62_135_596_790_i64, 253_370_764_790..253_370_764_810_i64],
    ) {
        if let Some(instant) = Timestamp::from_unix(seconds) {
            prop_assert_eq!(Timestamp::parse(&instant.to_string()), Ok(instant));
        }
    }
}

#[rstest]
#[case::the_first("0001-01-01T00:00:00Z", Some("IR-00010101-"))]
#[case::the_last("9998-12-31T23:59:59.999Z", Some("IR-99981231-"))]
#[case::a_year_zero("0000-12-31T23:59:59Z", None)]
#[case::before_the_first_in_utc("0001-01-01T00:00:00+00:01", None)]
#[case::beyond_the_last_in_utc("9998-12-31T23:59:59-00:01", None)]
#[case::the_last_of_four_digits("9999-12-31T23:59:59Z", None)]
#[case::beyond_the_calendar_in_utc("9999-12-31T23:59:59-23:59", None)]
fn a_sighting_at_the_end_of_the_calendar_is_a_case_or_none(#[case] date: &str, #[case] prefix: Option<&str>) {
    let event: Value = serde_json::from_slice(&sample("leaked-access-key")).expect("JSON");
    let parsed = check(&with(&event, "/detail/service/eventFirstSeen", date.into()));
    let Parsed::Finding(parsed) = &parsed[0] else { unreachable!("its creation stands in for the first sighting") };
    match prefix {
        Some(prefix) => assert!(CaseId::of(parsed, "x").to_string().starts_with(prefix)),
        None => assert_eq!(parsed.first_seen, Timestamp::parse("2026-11-21T20:47:12.318Z").expect("its creation")),
    }
}

/// The OCSF copy with `value` at each of `pointers`, and nothing in the textual twin of a date.
fn ocsf(changes: &[(&str, Value)]) -> Vec<Parsed> {
    let mut event: Value = serde_json::from_slice(&sample("leaked-access-key-ocsf-copy")).expect("JSON");
    for (field, value) in changes {
        let (parent, name) = field.rsplit_once('/').expect("a path");
        event["detail"]["findings"][0].pointer_mut(parent).expect("an object")[name] = value.clone();
    }
    check(&serde_json::to_vec(&event).expect("JSON"))
}

#[rstest]
#[case::integer(|number: i64| Value::from(number))]
#[case::text(|number: i64| Value::from(number.to_string()))]
#[case::float(|number: i64| serde_json::from_str(&format!("{number}.0")).expect("JSON"))]
#[case::float_as_text(|number: i64| Value::from(format!("{number}.0")))]
fn a_whole_number_is_read_however_a_feed_writes_it(#[case] written: fn(i64) -> Value) {
    let read = |changes: &[(&str, Value)]| match ocsf(changes).remove(0) {
        Parsed::Finding(finding) => Ok(*finding),
        Parsed::Ignored(ignored) => Err(ignored.reason.as_str()),
    };
    let without_text = ("/finding_info/first_seen_time_dt", Value::Null);
    let known = finding("leaked-access-key-ocsf-copy");
    let same = read(&[
        ("/class_uid", written(2004)),
        ("/status_id", written(1)),
        ("/finding_info/first_seen_time", written(1_795_293_667_000)),
        without_text,
    ]);
    assert_eq!(same, Ok(known));
    assert_eq!(read(&[("/class_uid", written(2003))]), Err("posture_finding"));
    assert_eq!(read(&[("/status_id", written(3))]), Err("suppressed_finding"));
    for (severity_id, severity) in [(5, 9.0), (4, 7.0), (3, 4.0), (2, 1.0), (1, 0.0)] {
        let changes = [("/vendor_attributes", serde_json::json!({ "severity_id": written(severity_id) }))];
        assert_eq!(read(&changes).map(|finding| finding.severity), Ok(severity));
    }
}
