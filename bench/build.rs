//! Names the libraries that Debian's static librocksdb needs.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=ROCKSDB_COMPILE");
    if std::env::var_os("CARGO_FEATURE_STORAGE").is_some() && std::env::var_os("ROCKSDB_COMPILE").is_none() {
        for library in ["snappy", "gflags", "z", "bz2", "zstd", "stdc++"] {
            println!("cargo:rustc-link-arg=-l{library}");
        }
    }
}
