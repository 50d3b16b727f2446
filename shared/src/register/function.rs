//! The function: read the request, do it, answer.

use std::time::Duration;

use aws_config::SdkConfig;
use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tracing::{error, info};

use super::answer::{Ending, Outcome, document};
use super::hub::{Hub, Progress};
use super::request::{Request, ResponseUrl};
use super::send;
use crate::aws::{CallLog, JsonService, load_config};
use crate::config::{self, ConfigError};
use crate::id::{AccountId, Arn, Partition, Region};
use crate::timestamp::Timestamp;

/// The function, with what lives as long as its process.
#[derive(Debug)]
pub struct Function {
    aws: SdkConfig,
    securityhub: JsonService,
}

/// What became of a request, for the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `SUCCESS`, `FAILED`, or `unanswered` where the request gave no place to answer at.
    pub answered: String,
    /// Why, and what was done.
    pub reason: String,
}

/// What of the time to the deadline is kept for the answer: half of it, up to this.
const FOR_THE_ANSWER: Duration = Duration::from_secs(20);

/// What is left to Lambda after the answer, to end the invocation itself.
const FOR_THE_END: Duration = Duration::from_millis(500);

/// What a runtime that gives no deadline gets: the template's timeout.
const TIMEOUT: Duration = Duration::from_mins(1);

impl Function {
    /// Reads the settings and makes the client.
    ///
    /// # Errors
    /// When a setting is invalid.
    pub async fn from_env() -> Result<Self, ConfigError> {
        let aws = load_config(config::call_timeout()?).await;
        let securityhub = JsonService::new("securityhub", &aws, &CallLog::default());
        Ok(Self { aws, securityhub })
    }

    /// Carries one request out, and answers CloudFormation.
    ///
    /// # Errors
    /// Only when the answer could not be put where CloudFormation waits: another delivery of the request may.
    pub async fn handle(&self, event: LambdaEvent<Box<RawValue>>) -> Result<Report, Diagnostic> {
        let left = time_left(&event.context);
        let value: Value = serde_json::from_str(event.payload.get()).unwrap_or_default();
        let region = self.aws.region().and_then(|region| Region::parse(region.as_ref()).ok());
        let partition = region.as_ref().map_or(Partition::Aws, Partition::of_region);
        let url = match ResponseUrl::read(&value, partition, self.aws.endpoint_url()) {
            Ok(url) => url,
            // Nobody waits for an answer that could be given, so nobody who may ask for this asked.
            Err(reason) => return Ok(unanswered(reason)),
        };
        let request = Request::read(&value);
        let account = Arn::parse(&event.context.invoked_function_arn).and_then(|arn| AccountId::parse(arn.account())).ok();
        let for_the_answer = FOR_THE_ANSWER.min(left / 2);
        let here = account.as_ref().zip(region.as_ref());
        let outcome = match here {
            Some((account, region)) => self.carry_out(&request, account, region, left.saturating_sub(for_the_answer)).await,
            None => Outcome::failed("the function does not know its own account and Region"),
        };
        let document = document(&request, &outcome, here);
        let sending = send::put(&self.aws, &url, &document);
        let sent = tokio::time::timeout(for_the_answer.saturating_sub(FOR_THE_END).max(for_the_answer / 2), sending).await;
        let report = Report { answered: document["Status"].as_str().unwrap_or_default().to_owned(), reason: outcome.reason() };
        let cause = match sent {
            Ok(Ok(())) => {
                info!(report = %serde_json::to_string(&report).unwrap_or_default(), "request answered");
                return Ok(report);
            }
            Ok(Err(fault)) => fault.to_string(),
            Err(_) => "S3 took too long".to_owned(),
        };
        let message = format!(
            "answering CloudFormation: {cause}. The answer was {}: {}. Next: Lambda delivers the request again",
            report.answered, report.reason
        );
        error!(error = %message, "request not answered");
        Err(Diagnostic { error_type: "Retryable".to_owned(), error_message: message })
    }

    async fn carry_out(&self, request: &Request, account: &AccountId, region: &Region, within: Duration) -> Outcome {
        let wish = match request.wish {
            Ok(wish) => wish,
            Err(reason) => return Outcome::failed(reason),
        };
        let progress = Progress::default();
        let hub = Hub { service: &self.securityhub, account, region };
        let ending = tokio::time::timeout(within, hub.grant(wish, &request.physical_id, &progress)).await;
        let ending =
            ending.unwrap_or_else(|_| Ending::Failed("Security Hub did not answer before the function's time was up".to_owned()));
        progress.ending(ending)
    }
}

fn unanswered(reason: &str) -> Report {
    let report = Report { answered: "unanswered".to_owned(), reason: format!("{reason}. Nothing was done") };
    error!(report = %serde_json::to_string(&report).unwrap_or_default(), "request refused");
    report
}

fn time_left(context: &Context) -> Duration {
    let deadline = Timestamp::from_unix(0).map(|epoch| epoch.plus(Duration::from_millis(context.deadline)));
    let left = deadline.and_then(|deadline| deadline.milliseconds_since(Timestamp::now())).filter(|left| *left > 0);
    left.map_or(TIMEOUT, Duration::from_millis)
}
