//! Contains compromised IAM users and role sessions. The walk is `tourniquet::respond`.

use lambda_runtime::{Error, run, service_fn};
use tourniquet::respond::{Function, Identities};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tourniquet::config::log_as_json();
    let function = Function::<Identities>::from_env().await?;
    run(service_fn(|event| function.handle(event))).await
}
