//! Where an instance stands in its Auto Scaling group. AWS refuses a move that was made already as it refuses one that
//! is impossible, with a `ValidationError` for everything: only where the instance stands now tells them apart.

/// An instance's place in an Auto Scaling group.
#[cfg_attr(not(feature = "instance"), allow(dead_code, reason = "only carrying a step out asks"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The group.
    pub(super) group: String,
    /// The lifecycle state, such as `InService`.
    pub(super) state: String,
}

/// Whether the instance is in no group, in another than `group`, or on its way out.
#[cfg_attr(not(feature = "instance"), allow(dead_code, reason = "only carrying a step out asks"))]
pub(super) fn has_left(place: Option<&Place>, group: &str) -> bool {
    place.is_none_or(|place| place.group != group || matches!(place.state.as_str(), "Detaching" | "Detached"))
}

/// Whether the instance serves no longer, or will not in a moment.
#[cfg_attr(not(feature = "instance"), allow(dead_code, reason = "only carrying a step out asks"))]
pub(super) fn is_on_standby(place: Option<&Place>, group: &str) -> bool {
    has_left(place, group) || place.is_some_and(|place| matches!(place.state.as_str(), "Standby" | "EnteringStandby"))
}

/// Whether the instance serves in `group`, or will in a moment.
#[cfg_attr(not(feature = "release"), allow(dead_code, reason = "only undoing a step asks"))]
pub(super) fn serves(place: Option<&Place>, group: &str) -> bool {
    place.is_some_and(|place| place.group == group && (place.state == "InService" || place.state.starts_with("Pending")))
}

#[cfg(feature = "instance")]
mod calls {
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_runtime_api::client::result::SdkError;
    use aws_smithy_types::error::metadata::ProvideErrorMetadata;
    use aws_types::request_id::RequestId;

    use super::super::Applied;
    use super::super::ec2::refused_with;
    use super::Place;
    use crate::aws::{Compute, Fault, FaultClass};
    use crate::id::InstanceId;
    use crate::text::printable;

    async fn place(aws: &Compute, instance: &InstanceId) -> Result<Option<Place>, Fault> {
        let output = aws.autoscaling.describe_auto_scaling_instances().instance_ids(instance.as_str()).send().await?;
        let found = output.auto_scaling_instances().first();
        Ok(found.map(|found| Place {
            group: found.auto_scaling_group_name().unwrap_or_default().to_owned(),
            state: found.lifecycle_state().unwrap_or_default().to_owned(),
        }))
    }

    /// The answer to a move of `instance`. Where it is refused and `is_so` says of the place it stands at that nothing is
    /// left to do, it was so already; else the fault says where it stands.
    pub(in super::super) async fn moved<O, E>(
        answer: Result<O, SdkError<E, HttpResponse>>,
        aws: &Compute,
        instance: &InstanceId,
        is_so: impl FnOnce(Option<&Place>) -> bool,
    ) -> Result<Applied, Fault>
    where
        O: RequestId,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match answer {
            Ok(output) => Ok(Applied::changed(&output)),
            Err(error) if refused_with(&error, &["ValidationError"]) => {
                let place = place(aws, instance).await?;
                if is_so(place.as_ref()) {
                    return Ok(Applied::already());
                }
                let fault = Fault::from(error);
                let state = place.map_or_else(|| "no Auto Scaling group".to_owned(), |place| place.state);
                // One that is still being started serves soon, and can be moved then.
                let class = if state.starts_with("Pending") { FaultClass::Retryable } else { fault.class };
                Err(Fault { message: printable(&format!("{} (it is in {state})", fault.message), 300), class, ..fault })
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(feature = "instance")]
pub(super) use calls::moved;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(group: &str, state: &str) -> Place {
        Place { group: group.to_owned(), state: state.to_owned() }
    }

    #[test]
    fn one_that_is_on_standby_or_out_of_the_group_was_moved_already() {
        assert!(is_on_standby(None, "web"));
        for state in ["Standby", "EnteringStandby", "Detaching", "Detached"] {
            assert!(is_on_standby(Some(&at("web", state)), "web"), "{state}");
        }
        assert!(is_on_standby(Some(&at("other", "InService")), "web"), "of another group");
    }

    #[test]
    fn one_that_serves_starts_or_ends_was_not() {
        for state in
            ["InService", "Pending", "Pending:Wait", "Terminating", "Terminating:Wait", "Terminated", "Warmed:Stopped", ""]
        {
            assert!(!is_on_standby(Some(&at("web", state)), "web"), "{state}");
            assert!(!has_left(Some(&at("web", state)), "web"), "{state}");
        }
        assert!(!has_left(Some(&at("web", "Standby")), "web"), "on standby it is still in the group");
    }
}
