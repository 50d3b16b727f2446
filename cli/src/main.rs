//! The responder's command line.

mod explain;
mod report;
mod template;
mod verify_case;
mod verify_snapshot;

use std::path::Path;
use std::process::ExitCode;

use tourniquet::guardrails::Guardrails;

const USAGE: &str = "\
usage: tourniquet explain EVENT [--json] [--guardrails FILE] [--template FILE] [--account ID]
           what would be done about an event, and why; calls no AWS
       tourniquet check-guardrails FILE
           whether a guardrails file holds together
       tourniquet verify-case CASE [--bucket NAME | --directory DIR]
           recompute a case's hash chain; CASE_BUCKET names the bucket where neither is given
       tourniquet report CASE [--bucket NAME | --directory DIR] [--output FILE]
           the case report as one page of HTML, with the chain recomputed; to standard output without a file
       tourniquet verify-snapshot SNAPSHOT --manifest FILE|KEY|s3://BUCKET/KEY [--content] [--bucket NAME]
           recompute a snapshot's hash from the EBS direct APIs: which blocks hold data, or with --content what
           is in each
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let answer = match arguments.as_slice() {
        ["explain", rest @ ..] => explain::run(rest),
        ["check-guardrails", file] => check_guardrails(Path::new(file)),
        ["verify-case", rest @ ..] => verify_case::run(rest).await,
        ["report", rest @ ..] => report::run(rest).await,
        ["verify-snapshot", rest @ ..] => verify_snapshot::run(rest).await,
        _ => Err(USAGE.to_owned()),
    };
    print(answer)
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the command line speaks to a person")]
fn print(answer: Result<String, String>) -> ExitCode {
    match answer {
        Ok(text) => {
            println!("{}", text.trim_end());
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("{}", reason.trim_end());
            ExitCode::FAILURE
        }
    }
}

fn check_guardrails(file: &Path) -> Result<String, String> {
    read_guardrails(file).map(|_| format!("{} holds together", file.display()))
}

fn read_guardrails(file: &Path) -> Result<Guardrails, String> {
    let name = file.display().to_string();
    let text = read(file)?;
    Guardrails::parse(&name, &text).map_err(|error| error.to_string())
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// The value after `name`, if the option is there.
fn option<'a>(arguments: &[&'a str], name: &str) -> Result<Option<&'a str>, String> {
    let Some(at) = arguments.iter().position(|argument| *argument == name) else { return Ok(None) };
    arguments.get(at + 1).copied().map(Some).ok_or_else(|| format!("{name} needs a value\n{USAGE}"))
}
