//! Tests that run ONNX Runtime, real models and real footage. Their inputs come from the folder that `XUELIANG_CACHE`
//! names: `onnxruntime/libonnxruntime.so`, `models/`, and `parity/`, which `tests/reference/prepare.sh` makes.

#[cfg(test)]
mod cache;
#[cfg(test)]
mod parity;
#[cfg(test)]
mod privacy;
#[cfg(test)]
mod providers;
#[cfg(test)]
mod refusal;
#[cfg(test)]
mod shapes;
