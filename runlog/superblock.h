// Lets programs that know nothing of SWMR (h5dump, h5ls, a plain h5py.File) open a log that is being written,
// or that a killed process left.
#pragma once

namespace gpumonth::runlog {

/// Clears the "a writer has this file open" flags in the superblock on disk of the HDF5 1.10 file behind
/// `descriptor`. HDF5 sets them when it starts SWMR and each time it rewrites the superblock; with them every
/// reader that does not ask for SWMR refuses the file until `h5clear -s`. They guard against a second writer,
/// which a run log never has: it is created exclusively and never opened for writing again. The library's own
/// copy is not touched. Does nothing where the superblock is not as the HDF5 1.10 format describes it.
/// Returns true if a flag was cleared.
bool clear_writer_flags(int descriptor);

}  // namespace gpumonth::runlog
