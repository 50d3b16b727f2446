//! The case's page, made of its ledger, with the chain recomputed over what is stored.

use std::path::Path;

use tourniquet::case::{CaseId, Entry, verify_chain};
use tourniquet::report::page::{Chain, Page, page};
use tourniquet::timestamp::Timestamp;

pub(crate) async fn run(arguments: &[&str]) -> Result<String, String> {
    let [case, options @ ..] = arguments else { return Err(crate::USAGE.to_owned()) };
    let case = CaseId::parse(case).map_err(|error| error.to_string())?;
    let (place, objects) = crate::verify_case::stored(&case, options).await?;
    let entries = ledger(&case, &objects);
    let checked = verify_chain(&case, &objects);
    let chain = checked.as_ref().map_or_else(Chain::Broken, Chain::Holds);
    let made_by = concat!("tourniquet report ", env!("CARGO_PKG_VERSION"));
    let of = Page { case: &case, entries: &entries, place: &place, chain, made: Timestamp::now(), made_by };
    let Some(html) = page(of) else { return Err(format!("{case} in {place}: no entry says what the case is about")) };
    let Some(file) = crate::option(options, "--output")? else { return Ok(html) };
    std::fs::write(Path::new(file), html).map_err(|error| format!("{file}: {error}"))?;
    let state = match &checked {
        Ok(report) => format!("{} entries, the chain holds", report.entries),
        Err(broken) => format!("THE CHAIN IS BROKEN: {broken}"),
    };
    Ok(format!("{file}: {case} in {place}: {state}"))
}

/// The entries that can be read, in order. One that cannot is where the chain breaks, which the page says.
fn ledger(case: &CaseId, objects: &[(String, Vec<u8>)]) -> Vec<Entry> {
    let read = |(key, bytes): &(String, Vec<u8>)| {
        let entry: Entry = serde_json::from_slice(bytes).ok()?;
        (entry.case == *case && entry.key() == *key).then_some(entry)
    };
    let mut entries: Vec<Entry> = objects.iter().filter_map(read).collect();
    entries.sort_by_key(|entry| entry.number);
    entries
}
