//! What the steps around an instance have in common: their lines, and how AWS says that something is so already.

use crate::id::{InstanceId, InterfaceId, Region};
use crate::text::shell_word;

/// The line that changes one attribute of an instance: EC2 takes one a call (CONTAINMENT B8).
pub(super) fn instance_line(region: &Region, instance: &InstanceId, change: &str) -> String {
    format!("aws ec2 modify-instance-attribute --region {region} --instance-id {instance} {change}")
}

/// The line that changes one attribute of a network interface: EC2 takes one a call (CONTAINMENT B3).
pub(super) fn interface_line(region: &Region, interface: &InterfaceId, change: &str) -> String {
    format!("aws ec2 modify-network-interface-attribute --region {region} --network-interface-id {interface} {change}")
}

/// The option that puts tags on what a line makes. As JSON: the short form knows no quoting, and a value may hold a comma.
pub(super) fn tags_option(resource: &str, tags: &[(String, String)]) -> String {
    let tags: Vec<_> = tags.iter().map(|(key, value)| serde_json::json!({ "Key": key, "Value": value })).collect();
    let specification = serde_json::json!([{ "ResourceType": resource, "Tags": tags }]);
    format!("--tag-specifications {}", shell_word(&specification.to_string()))
}

#[cfg(feature = "instance")]
mod calls {
    use aws_sdk_ec2::types::{AttributeBooleanValue, Filter, ResourceType, Tag, TagSpecification};
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_runtime_api::client::result::SdkError;
    use aws_smithy_types::error::metadata::ProvideErrorMetadata;
    use aws_types::request_id::RequestId;

    use super::super::Applied;
    use crate::aws::{Fault, FaultClass};
    use crate::id::InvalidId;
    use crate::text::printable;

    /// A fault of our own that no retry mends.
    pub(in super::super) fn permanent(code: &str, message: &str) -> Fault {
        Fault { code: code.to_owned(), message: printable(message, 400), class: FaultClass::Permanent }
    }

    /// A fault of our own that a retry may mend.
    pub(in super::super) fn retryable(code: &str, message: &str) -> Fault {
        Fault { class: FaultClass::Retryable, ..permanent(code, message) }
    }

    /// Reads an id out of AWS's answer.
    pub(in super::super) fn read<T>(id: Option<&str>, parse: fn(&str) -> Result<T, InvalidId>) -> Result<T, Fault> {
        parse(id.unwrap_or_default()).map_err(|error| permanent("Unreadable", &error.to_string()))
    }

    /// Whether AWS refused with one of `codes`.
    pub(in super::super) fn refused_with<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>, codes: &[&str]) -> bool {
        error.as_service_error().and_then(ProvideErrorMetadata::code).is_some_and(|code| codes.contains(&code))
    }

    /// The answer to a change that was made already where AWS refuses it with one of `codes`.
    pub(in super::super) fn unless<O, E>(answer: Result<O, SdkError<E, HttpResponse>>, codes: &[&str]) -> Result<Applied, Fault>
    where
        O: RequestId,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match answer {
            Ok(output) => Ok(Applied::changed(&output)),
            Err(error) if refused_with(&error, codes) => Ok(Applied::already()),
            Err(error) => Err(error.into()),
        }
    }

    pub(in super::super) fn yes() -> AttributeBooleanValue {
        AttributeBooleanValue::builder().value(true).build()
    }

    #[cfg(feature = "release")]
    pub(in super::super) fn no() -> AttributeBooleanValue {
        AttributeBooleanValue::builder().value(false).build()
    }

    pub(in super::super) fn filter(name: &str, value: &str) -> Filter {
        Filter::builder().name(name).values(value).build()
    }

    /// Tags for what a call makes: put on in the same call, there is no moment without them.
    pub(in super::super) fn tagged(resource: ResourceType, tags: Vec<(String, String)>) -> TagSpecification {
        let tags = tags.into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
        TagSpecification::builder().resource_type(resource).set_tags(Some(tags)).build()
    }
}

#[cfg(feature = "release")]
pub(super) use calls::no;
#[cfg(feature = "instance")]
pub(super) use calls::{filter, permanent, read, refused_with, retryable, tagged, unless, yes};
