//! Recomputing a case's chain, from the bucket or from a downloaded copy.

use std::path::{Path, PathBuf};

use tourniquet::case::store::CaseStore;
use tourniquet::case::{CaseId, verify_chain};

pub(crate) async fn run(arguments: &[&str]) -> Result<String, String> {
    let [case, options @ ..] = arguments else { return Err(crate::USAGE.to_owned()) };
    let case = CaseId::parse(case).map_err(|error| error.to_string())?;
    let (place, objects) = stored(&case, options).await?;
    match verify_chain(&case, &objects) {
        Ok(report) => Ok(format!("{case} in {place}: {} entries, the chain holds. Head {}", report.entries, report.head)),
        Err(broken) => Err(format!("{case} in {place}: {broken}")),
    }
}

/// Where a case is kept, and what is stored of it: key and bytes.
pub(crate) type Stored = (String, Vec<(String, Vec<u8>)>);

/// The objects of a case, from where the options say.
pub(crate) async fn stored(case: &CaseId, options: &[&str]) -> Result<Stored, String> {
    match (crate::option(options, "--directory")?, crate::option(options, "--bucket")?) {
        (Some(directory), _) => Ok((directory.to_owned(), from_directory(case, Path::new(directory))?)),
        (None, bucket) => from_bucket(case, bucket).await,
    }
}

async fn from_bucket(case: &CaseId, bucket: Option<&str>) -> Result<Stored, String> {
    let bucket = case_bucket(bucket)?;
    let config = tourniquet::aws::load_config(std::time::Duration::from_secs(5)).await;
    let store = CaseStore::new(tourniquet::aws::s3(&config), bucket.clone());
    let objects = store.objects(case).await.map_err(|fault| format!("s3://{bucket}: {fault}"))?;
    Ok((format!("s3://{bucket}"), objects))
}

/// The case bucket: the one that was named, or that of the environment.
pub(crate) fn case_bucket(named: Option<&str>) -> Result<String, String> {
    #[expect(clippy::disallowed_methods, reason = "the command line's own door to the environment")]
    let bucket = named.map(str::to_owned).or_else(|| std::env::var("CASE_BUCKET").ok());
    bucket.ok_or_else(|| "name the case bucket: --bucket NAME, or CASE_BUCKET in the environment".to_owned())
}

/// A copy of the case's folder, with the folders in it: the files, under the keys they have in the bucket.
fn from_directory(case: &CaseId, directory: &Path) -> Result<Vec<(String, Vec<u8>)>, String> {
    let failed = |path: &Path, error: &std::io::Error| format!("{}: {error}", path.display());
    let mut folders = vec![(directory.to_owned(), format!("cases/{case}/"))];
    let mut objects = Vec::new();
    while let Some((folder, prefix)) = folders.pop() {
        for file in std::fs::read_dir(&folder).map_err(|error| failed(&folder, &error))? {
            let path: PathBuf = file.map_err(|error| failed(&folder, &error))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if path.is_dir() {
                folders.push((path.clone(), format!("{prefix}{name}/")));
                continue;
            }
            let bytes = std::fs::read(&path).map_err(|error| failed(&path, &error))?;
            objects.push((format!("{prefix}{name}"), bytes));
        }
    }
    Ok(objects)
}
