//! The topic people are told through.

use aws_sdk_sns::Client;

use super::fault::Fault;
use crate::id::Arn;

/// Publishes what is said to each protocol, and returns the message's id.
///
/// # Errors
///
/// When SNS did not take it.
pub async fn publish(sns: &Client, topic: &Arn, subject: &str, body: String) -> Result<Option<String>, Fault> {
    let request = sns.publish().topic_arn(topic.as_str()).subject(subject).message(body).message_structure("json");
    request.send().await.map(|output| output.message_id).map_err(Fault::from)
}
