//! EventBridge Scheduler: an event that comes once, later.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Call, Fault, FaultClass, JsonService};
use crate::id::Arn;
use crate::text::sha256;
use crate::timestamp::Timestamp;

/// How long Scheduler goes on trying to hand an event over, and how often: late beats never, but not by a day.
const OLDEST: Duration = Duration::from_hours(1);
const MOST_TRIES: u32 = 20;

/// What Scheduler takes for a name (API reference, `CreateSchedule`).
const LONGEST_NAME: usize = 64;

/// Where schedules are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedules {
    /// The schedule group, `SCHEDULE_GROUP`.
    pub group: String,
    /// The role that Scheduler invokes functions with, `SCHEDULE_ROLE_ARN`.
    pub role: Arn,
    /// The queue for what could not be delivered, `SCHEDULE_DEAD_LETTER_ARN`; may be missing.
    pub dead_letters: Option<Arn>,
}

/// The schedules of one group, which invoke functions with one role.
#[derive(Debug, Clone)]
pub struct Scheduler {
    service: JsonService,
    schedules: Schedules,
}

impl Scheduler {
    /// The group that `schedules` names, of the function's own account and Region.
    #[must_use]
    pub fn new(service: &JsonService, schedules: Schedules) -> Self {
        Self { service: service.clone(), schedules }
    }

    /// Has `function` invoked with `input`, once, at `when` (Scheduler keeps it to the minute), under a name that says
    /// what for. One of that name that exists already is taken for this one, so that scheduling again is scheduling once;
    /// its time stands. It is deleted once it has been delivered, and then the name is free again.
    ///
    /// # Errors
    /// When Scheduler refuses it, or does not answer.
    pub async fn at(&self, name: &str, when: Timestamp, function: &Arn, input: &Value) -> Result<(), Fault> {
        let call = self.create(name, when, function, input)?;
        match self.service.call(None, call).await {
            Ok(_) => Ok(()),
            Err(fault) if fault.code == "ConflictException" => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    fn create(&self, name: &str, when: Timestamp, function: &Arn, input: &Value) -> Result<Call, Fault> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(is_name) {
            let message = format!("`{}` cannot be the name of a schedule", crate::text::printable(name, 80));
            return Err(Fault { code: "InvalidName".to_owned(), message, class: FaultClass::Permanent });
        }
        let Schedules { group, role, dead_letters } = &self.schedules;
        let date = when.to_policy_date();
        let expression = format!("at({})", date.trim_end_matches('Z'));
        let input = input.to_string();
        let mut target = json!({
            "Arn": function.as_str(),
            "RoleArn": role.as_str(),
            "Input": input,
            "RetryPolicy": { "MaximumEventAgeInSeconds": OLDEST.as_secs(), "MaximumRetryAttempts": MOST_TRIES },
        });
        if let Some(queue) = dead_letters {
            target["DeadLetterConfig"] = json!({ "Arn": queue.as_str() });
        }
        // The same for the same request, so that the SDK's own tries are one; another for another time.
        let token = sha256([name, &expression, function.as_str(), &input].join("\n").as_bytes());
        Ok(Call {
            operation: "CreateSchedule",
            method: "POST",
            path: format!("/schedules/{name}"),
            target: None,
            body: json!({
                "GroupName": group,
                "ClientToken": token,
                "ScheduleExpression": expression,
                "ScheduleExpressionTimezone": "UTC",
                "FlexibleTimeWindow": { "Mode": "OFF" },
                "ActionAfterCompletion": "DELETE",
                "Target": target,
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use aws_config::SdkConfig;

    use super::*;
    use crate::aws::CallLog;

    fn scheduler() -> Scheduler {
        let arn = |text: &str| Arn::parse(text).expect("an ARN");
        let schedules = Schedules {
            group: "tourniquet".to_owned(),
            role: arn("arn:aws:iam::111122223333:role/tourniquet/schedules"),
            dead_letters: None,
        };
        Scheduler::new(&JsonService::new("scheduler", &SdkConfig::builder().build(), &CallLog::default()), schedules)
    }

    fn created(name: &str, when: &str) -> Result<Call, Fault> {
        let function = Arn::parse("arn:aws:lambda:eu-west-1:111122223333:function:recheck").expect("an ARN");
        scheduler().create(name, Timestamp::parse(when).expect("a timestamp"), &function, &json!({ "recheck": {} }))
    }

    #[test]
    fn a_time_is_written_as_scheduler_reads_it() {
        let call = created("IR-20261121-3f9a1c2e-0-1", "2026-11-21T20:46:56.001Z").expect("a call");
        assert_eq!(call.path, "/schedules/IR-20261121-3f9a1c2e-0-1");
        assert_eq!(call.body["ScheduleExpression"], "at(2026-11-21T20:46:57)");
        assert_eq!(call.body["Target"]["Input"], "{\"recheck\":{}}");
        assert_eq!(call.body["ClientToken"].as_str().map(str::len), Some(64));
    }

    #[test]
    fn the_same_request_has_the_same_token_and_another_time_another() {
        let token = |when| created("a", when).expect("a call").body["ClientToken"].clone();
        assert_eq!(token("2026-11-21T20:46:56Z"), token("2026-11-21T20:46:56Z"));
        assert_ne!(token("2026-11-21T20:46:56Z"), token("2026-11-21T20:46:57Z"));
    }

    #[test]
    fn what_is_no_name_never_reaches_a_path() {
        let longest = "a".repeat(64);
        created(&longest, "2026-11-21T20:46:56Z").expect("the longest");
        for name in ["", "a/b", "a b", "../group", &"a".repeat(65)] {
            assert_eq!(created(name, "2026-11-21T20:46:56Z").expect_err("refused").code, "InvalidName", "{name}");
        }
    }
}
