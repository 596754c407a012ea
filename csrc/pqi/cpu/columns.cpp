#include "columns.hpp"

#include "parallel.hpp"
#include "transpose.hpp"

namespace pqi::cpu {
namespace {

constexpr size_t line = 64;
constexpr size_t cached = size_t(1) << 15;  // less is in the cache however it is read
// A slab stays in the outer cache until it is measured; but rather than less than 512 bytes of a row at a time it takes
// more memory, and where that were too much, at least a line's groups.
constexpr size_t slab_bytes = size_t(1) << 23, wide_slab_bytes = size_t(1) << 26, most_bytes = size_t(1) << 28;

// Between the array's rows, which hold an element of each group, and the slab's, which hold a group.
template <class T>
void copy(const Matrix& array, const Matrix& slab, size_t rows, size_t groups, bool gathering) {
  if (gathering) {
    transpose<T>(array, slab, rows, groups, true);
  } else {
    transpose<T>(slab, array, groups, rows, false);
  }
}

void copy(size_t width, const Matrix& array, const Matrix& slab, size_t rows, size_t groups, bool gathering) {
  switch (width) {
    case 1:
      return copy<uint8_t>(array, slab, rows, groups, gathering);
    case 2:
      return copy<uint16_t>(array, slab, rows, groups, gathering);
    case 4:
      return copy<uint32_t>(array, slab, rows, groups, gathering);
    default:
      return copy<uint64_t>(array, slab, rows, groups, gathering);
  }
}

// Calls f(byte offset, place in the span, how many) for the stretches of elements [begin, begin + n) of a coalesced
// view that lie at its last dimension's stride.
template <class F>
void for_each_stretch(const View& view, size_t begin, size_t n, F f) {
  const size_t extent = view.ndim > 0 ? size_t(view.shape[view.ndim - 1]) : 1;
  for (size_t done = 0; done < n;) {
    const size_t run = std::min(n - done, extent - (begin + done) % extent);
    f(view.offset(begin + done), done, run);
    done += run;
  }
}

int64_t last_stride(const View& view) { return view.ndim > 0 ? view.strides[view.ndim - 1] : 0; }

}  // namespace

Columns::Columns(const View& inner, const View& outer) : inner_(inner), outer_(outer.coalesced()) {}

bool Columns::interleaved() const {
  const int64_t element = std::abs(last_stride(inner_)), group = std::abs(last_stride(outer_));
  return 0 < group && group < element && group < int64_t(line) && element > int64_t(line) / 2;
}

View Columns::rows(size_t count, Buffer<char>& memory) const {
  // The last line of a row stays empty: rows of a power of two would all compete for the same places of the cache.
  const size_t width = item_size(inner_.dtype), stride = (inner_.size() * width + line - 1) / line * line + line;
  memory.resize(std::max(memory.size(), count * stride));
  View rows;
  rows.data = memory.data();
  rows.dtype = inner_.dtype;
  rows.push(int64_t(count), int64_t(stride));
  rows.push(int64_t(inner_.size()), int64_t(width));
  return rows;
}

void Columns::copy_slab(size_t first, const View& rows, bool gathering) const {
  constexpr size_t elements = size_t(1) << 17;
  const size_t width = item_size(inner_.dtype), count = size_t(rows.shape[0]), size = size_t(rows.shape[1]);
  const size_t step = (elements / count + line) / line * line, tasks = (size + step - 1) / step;
  parallel_for(tasks, num_threads(), [&](size_t task, int) {
    const size_t begin = task * step, n = std::min(step, size - begin);
    for_each_stretch(inner_, begin, n, [&](int64_t row_offset, size_t row, size_t row_run) {
      for_each_stretch(outer_, first, count, [&](int64_t group_offset, size_t group, size_t group_run) {
        char* const there = const_cast<char*>(inner_.data) + row_offset + group_offset;
        char* const here = const_cast<char*>(rows.data) + (begin + row) * width + int64_t(group) * rows.strides[0];
        copy(width, {there, last_stride(inner_), last_stride(outer_)}, {here, rows.strides[0], int64_t(width)}, row_run,
             group_run, gathering);
      });
    });
  });
}

namespace {

Columns data_of(const Groups& groups) {
  return groups.pieces().empty() ? Columns({}, {}) : Columns(groups.pieces().front().data, groups.outer_data());
}

Columns mask_of(const Groups& groups) {
  return groups.masked() && !groups.pieces().empty() ? Columns(groups.pieces().front().mask, groups.outer_mask())
                                                     : Columns({}, {});
}

const std::vector<int> along_rows = {1};

}  // namespace

Slabs::Slabs(const Groups& groups, const Groups* masks)
    : groups_(groups),
      data_(data_of(groups)),
      live_(mask_of(groups)),
      masks_(masks != nullptr ? data_of(*masks) : Columns({}, {})) {
  const size_t width = item_size(groups.dtype()),
               bytes = groups.widest() * (width + groups.masked() + (masks != nullptr));
  if (groups.pieces().size() != 1 || groups.offsets() != nullptr || groups.count() < fewest_columns) return;
  if (!data_.interleaved() && !live_.interleaved() && !masks_.interleaved()) return;
  if (bytes * groups.count() <= cached) return;
  const size_t wide = std::min(8 * line / width, wide_slab_bytes / bytes);
  most_ = std::min(std::max({slab_bytes / bytes, wide, line / width}), most_bytes / bytes);
  if (most_ < fewest_columns) most_ = 0;
  if (most_ > line / width) most_ -= most_ % (line / width);
}

Groups Slabs::load(size_t first, size_t count) {
  const View rows = data_.rows(count, data_memory_);
  data_.copy_slab(first, rows, true);
  if (!groups_.masked()) return Groups({rows}, {}, &along_rows);
  const View live = live_.rows(count, live_memory_);
  live_.copy_slab(first, live, true);
  return Groups({rows}, {live}, &along_rows);
}

Groups Slabs::load_live(size_t first, size_t count) {
  const View live = live_.rows(count, live_memory_);
  live_.copy_slab(first, live, true);
  return Groups({live}, {live}, &along_rows);
}

Groups Slabs::mask_rows(size_t count) {
  mask_rows_ = masks_.rows(count, mask_memory_);
  return Groups({mask_rows_}, {}, &along_rows);
}

void Slabs::store_masks(size_t first) const { masks_.copy_slab(first, mask_rows_, false); }

}  // namespace pqi::cpu
