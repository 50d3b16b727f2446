//! What CloudFormation asks of the custom resource, and where it waits for the answer.

use std::fmt;

use serde_json::Value;

use crate::id::{Partition, Region};
use crate::text::sha256;

/// One request of CloudFormation about the custom resource (CloudFormation User Guide, "Custom resource request objects").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is to be there afterwards, or why that cannot be said.
    pub wish: Result<Wish, &'static str>,
    /// Who the actions are kept for. `CloudFormation`'s for what exists, ours for what is to be created.
    pub physical_id: String,
    /// These three are given back as they came.
    pub stack_id: String,
    /// As above.
    pub request_id: String,
    /// As above.
    pub logical_id: String,
}

/// What a request comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The actions are there and are as this version describes them: Create and Update, an Update that rolls back too.
    There,
    /// Nobody needs them for this resource any more: Delete.
    Gone,
}

/// What CloudFormation gives back to us is cut to this: the whole answer may have 4096 bytes.
const LONGEST_ECHO: usize = 600;

impl Request {
    /// Reads a request. Whatever is wrong with it becomes part of the answer, so that a stack never waits for one.
    #[must_use]
    pub fn read(event: &Value) -> Self {
        let text = |field: &str| event.get(field).and_then(Value::as_str).unwrap_or_default();
        let echo = |field: &str| text(field).chars().take(LONGEST_ECHO).collect::<String>();
        let (stack_id, request_id, logical_id) = (echo("StackId"), echo("RequestId"), echo("LogicalResourceId"));
        let given = echo("PhysicalResourceId");
        let incomplete = stack_id.is_empty() || request_id.is_empty() || logical_id.is_empty();
        let wish = match text("RequestType") {
            _ if incomplete => Err("the request names no stack, resource or request"),
            "Update" | "Delete" if given.is_empty() => Err("the request names no PhysicalResourceId"),
            "Create" | "Update" => Ok(Wish::There),
            "Delete" => Ok(Wish::Gone),
            _ => Err("the request is neither Create nor Update nor Delete"),
        };
        // The same for every delivery of one request; another for the next, so that a Delete of this one finds its own.
        let made =
            || format!("tourniquet-buttons-{}", &sha256(format!("{stack_id}\n{logical_id}\n{request_id}").as_bytes())[..12]);
        let physical_id = if given.is_empty() || text("RequestType") == "Create" { made() } else { given };
        Self { wish, physical_id, stack_id, request_id, logical_id }
    }
}

/// The pre-signed URL that CloudFormation waits at. Whoever has it can answer in our place, so it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseUrl {
    origin: String,
    path: String,
}

impl fmt::Debug for ResponseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ResponseUrl(…)")
    }
}

impl ResponseUrl {
    /// Takes a URL that is S3's, in `partition` and by TLS, or of `endpoint`, where that takes the place of AWS.
    ///
    /// # Errors
    /// When there is none, or it leads anywhere else. The reason holds nothing of it.
    pub fn read(event: &Value, partition: Partition, endpoint: Option<&str>) -> Result<Self, &'static str> {
        let url = event.get("ResponseURL").and_then(Value::as_str).ok_or("the request has no ResponseURL")?;
        if url.len() > 8192 || !url.bytes().all(|byte| byte.is_ascii_graphic()) || url.contains('#') {
            return Err("the ResponseURL is no URL");
        }
        let start = url.find("://").map_or(0, |colon| colon + 3);
        let (origin, path) = url.split_at(url[start..].find('/').map_or(url.len(), |slash| start + slash));
        if path.is_empty() {
            return Err("the ResponseURL names no object");
        }
        let is_endpoint = endpoint.is_some_and(|endpoint| endpoint.trim_end_matches('/') == origin);
        if !is_endpoint && !origin.strip_prefix("https://").is_some_and(|host| is_s3(host, partition)) {
            return Err("the ResponseURL is not S3's");
        }
        Ok(Self { origin: origin.to_owned(), path: path.to_owned() })
    }

    /// Scheme and host.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The path with its signature.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// Whether a host is one of S3's: `bucket.s3.amazonaws.com`, `bucket.s3.eu-west-1.amazonaws.com`,
/// `bucket.s3-eu-west-1.amazonaws.com`, with `dualstack` before the Region, or without a bucket. No port, no user.
fn is_s3(host: &str, partition: Partition) -> bool {
    let Some(front) = host.strip_suffix(partition.dns_suffix()).and_then(|front| front.strip_suffix('.')) else { return false };
    let labels: Vec<&str> = front.split('.').collect();
    let is_label = |label: &&str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let is_region = |label: &str| Region::parse(label).is_ok_and(|region| Partition::of_region(&region) == partition);
    labels.iter().all(is_label)
        && match labels.as_slice() {
            [.., "s3", region] | [.., "s3", "dualstack", region] if is_region(region) => true,
            [.., last] => *last == "s3" || last.strip_prefix("s3-").is_some_and(is_region),
            [] => false,
        }
}
