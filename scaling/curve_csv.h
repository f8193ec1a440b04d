// Scaling curves as CSV, and as the text that Extra-P reads.
//
//   ranks,samples_per_s[,batch_per_rank,run]      one curve; several rows per rank count are repeats
//   curve_id,...                                  a table of many: one curve per name, in order of appearance
//
// Other names for the same columns: n_acc, GPUs and the like (ranks), throughput or its unit (samples_per_s),
// batch_per_acc (batch_per_rank), curve (curve_id). `unit` or `throughput_unit`, `kind` and `source` are
// taken where present; further columns are ignored. batch_per_rank may be empty: unknown. In a table of many
// curves so may a throughput: that row is left out with a note.
//
// What spreadsheets and numpy make of such a table is read as well: scaling/curve_columns.h has the line of
// names and the separator, scaling/table_numbers.h commas in numbers, scaling/csv.h the bytes. A throughput per
// rank, of steps or per minute becomes that of all ranks per second, scaling/curve_units.h.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "scaling/curve.h"

namespace gpumonth::scaling {

/// Every curve of the file, sorted by ranks. Throws UserError with file and line: missing columns, a field
/// that is no number, a rank count or throughput that is not positive, a curve with two units, no rows. A
/// curve of bandwidths or times keeps its unit, and check() refuses it.
std::vector<ScalingCurve> read_scaling_csv(const std::filesystem::path& file);
std::vector<ScalingCurve> parse_scaling_csv(const std::string& text, const std::string& name);

/// The contract's columns, and the unit where it is not samples/s.
std::string to_csv(const ScalingCurve& curve);

/// The same as Extra-P's text input: the parameter is the number of ranks, the metric the seconds per sample
/// (token,
/// ..) and rank (ranks / samples_per_s), one DATA line of repeats per point.
std::string to_extrap(const ScalingCurve& curve);

}  // namespace gpumonth::scaling
