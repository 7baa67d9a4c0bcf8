#include <kiln/npy.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <memory>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <system_error>

namespace kiln {

namespace {

constexpr std::string_view magic = "\x93NUMPY";
/// Longer headers are refused: kiln's dtypes and ranks need far less than a kilobyte.
constexpr std::size_t longest_header = std::size_t(1) << 20;

/// What an operation is about, for its errors.
struct Context {
    const char* verb;
    const std::string& path;
    Location where;
    [[noreturn]] void fail(const std::string& reason) const {
        throw Error(ErrorKind::io, std::string("cannot ") + verb + " " + path + ": " + reason,
                    where);
    }
    [[noreturn]] void fail_errno() const { fail(std::generic_category().message(errno)); }
};

class File {
  public:
    explicit File(int descriptor) : descriptor_(descriptor) {}
    ~File() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    int get() const { return descriptor_; }
    /// Errors of delayed writing are reported here.
    bool close() { return ::close(std::exchange(descriptor_, -1)) == 0; }

  private:
    int descriptor_;
};

/// Fills `to` from `offset` on; fewer bytes than asked for mean the end of the file.
std::size_t read_at(const File& file, void* to, std::size_t bytes, std::size_t offset,
                    const Context& context) {
    std::size_t done = 0;
    while (done < bytes) {
        const ssize_t got = pread(file.get(), static_cast<char*>(to) + done, bytes - done,
                                  static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) context.fail_errno();
        if (got == 0) break;
        done += static_cast<std::size_t>(got);
    }
    return done;
}

// -- the header --------------------------------------------------------------------------------

struct Header {
    DType dtype = DType::f64;
    bool big_endian = false;
    bool fortran = false;
    Shape shape;
    std::size_t data_offset = 0;
};

/// The Python dict literal of a header, such as
/// {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }
class HeaderParser {
  public:
    HeaderParser(std::string_view text, const Context& context) : text_(text), context_(context) {}

    Header parse() {
        Header header;
        bool have_descr = false, have_order = false, have_shape = false;
        expect('{');
        while (!accept('}')) {
            const std::string key = string();
            expect(':');
            if (key == "descr" && !have_descr) {
                have_descr = true;
                descr(header);
            } else if (key == "fortran_order" && !have_order) {
                have_order = true;
                header.fortran = boolean();
            } else if (key == "shape" && !have_shape) {
                have_shape = true;
                shape(header);
            } else {
                fail("unexpected key '" + key + "'");
            }
            if (!accept(',')) {
                expect('}');
                break;
            }
        }
        skip_space();
        if (at_ != text_.size()) fail("text after the dictionary");
        if (!have_descr || !have_order || !have_shape) {
            context_.fail(std::string("the header lacks the key '") +
                          (!have_descr   ? "descr"
                           : !have_order ? "fortran_order"
                                         : "shape") +
                          "'");
        }
        return header;
    }

  private:
    [[noreturn]] void fail(const std::string& reason) const {
        context_.fail("malformed header at character " + std::to_string(at_) + ": " + reason);
    }
    void skip_space() {
        while (at_ < text_.size() && std::strchr(" \t\n\r\f\v", text_[at_]) != nullptr &&
               text_[at_] != '\0')
            ++at_;
    }
    bool accept(char wanted) {
        skip_space();
        if (at_ >= text_.size() || text_[at_] != wanted) return false;
        ++at_;
        return true;
    }
    void expect(char wanted) {
        if (!accept(wanted)) fail(std::string("expected '") + wanted + "'");
    }
    std::string string() {
        skip_space();
        const char quote = at_ < text_.size() ? text_[at_] : '\0';
        if (quote != '\'' && quote != '"') fail("expected a string");
        const std::size_t end = text_.find(quote, at_ + 1);
        if (end == std::string_view::npos) fail("unterminated string");
        std::string value(text_.substr(at_ + 1, end - at_ - 1));
        at_ = end + 1;
        return value;
    }
    bool boolean() {
        skip_space();
        for (const bool value : {true, false}) {
            const std::string_view word = value ? "True" : "False";
            if (text_.substr(at_, word.size()) == word) {
                at_ += word.size();
                return value;
            }
        }
        fail("expected True or False");
    }
    void shape(Header& header) {
        expect('(');
        bool comma = false;
        while (!accept(')')) {
            if (header.shape.rank() > 0 && !comma) fail("expected ',' or ')'");
            skip_space();
            std::int64_t extent = 0;
            const auto [end, error] =
                std::from_chars(text_.data() + at_, text_.data() + text_.size(), extent);
            if (error == std::errc::result_out_of_range) fail("extent over 2^63 - 1");
            if (error != std::errc() || extent < 0) fail("expected an extent");
            at_ = static_cast<std::size_t>(end - text_.data());
            if (header.shape.rank() == max_rank)
                context_.fail("its rank is over the limit of 8 axes");
            header.shape.push_back(extent);
            comma = accept(',');
        }
        if (header.shape.rank() == 1 && !comma) fail("the shape is no tuple");
    }
    void descr(Header& header) {
        skip_space();
        if (at_ < text_.size() && text_[at_] == '[') {
            context_.fail("structured dtypes are not supported");
        }
        const std::string text = string();
        std::string_view code = text;
        if (!code.empty() && std::strchr("<>|=", code[0]) != nullptr) {
            header.big_endian = code[0] == '>';
            code.remove_prefix(1);
        }
        if (!code.empty() && code[0] == 'O')
            context_.fail("object dtype '" + text + "' is not supported");
        for (std::size_t k = 0; k < dtype_count; ++k) {
            if (!code.empty() && dtype_table[k].npy == code) {
                header.dtype = static_cast<DType>(k);
                return;
            }
        }
        context_.fail("dtype '" + text + "' is not supported");
    }

    std::string_view text_;
    const Context& context_;
    std::size_t at_ = 0;
};

/// Opens a file to read it. A FIFO would wait for a writer, and to open a device may do something.
int open_regular(const Context& context, int mode) {
    struct stat status{};
    if (::stat(context.path.c_str(), &status) != 0) context.fail_errno();
    if (!S_ISREG(status.st_mode)) context.fail("not a regular file");
    return ::open(context.path.c_str(), mode | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/// Checks the header and the size of a file. What is left to do is reading or mapping.
Header read_header(const File& file, const Context& context) {
    if (file.get() < 0) context.fail_errno();
    struct stat status{};
    if (fstat(file.get(), &status) != 0) context.fail_errno();
    if (!S_ISREG(status.st_mode)) context.fail("not a regular file");
    const auto file_size = static_cast<std::size_t>(status.st_size);
    // Files of a kernel's file systems have no size, and to read one may wait.
    if (file_size < magic.size()) context.fail("it does not begin with the .npy magic");

    std::array<unsigned char, 12> prefix{};
    const std::size_t got = read_at(file, prefix.data(), prefix.size(), 0, context);
    if (got < magic.size() || std::memcmp(prefix.data(), magic.data(), magic.size()) != 0) {
        context.fail("it does not begin with the .npy magic");
    }
    const unsigned major = prefix[6], minor = prefix[7];
    const std::size_t prefix_size = major == 1 ? 10 : 12;
    if (got < prefix_size || file_size < prefix_size) context.fail("truncated header");
    if (major < 1 || major > 3 || minor != 0) {
        context.fail("unknown format version " + std::to_string(major) + "." +
                     std::to_string(minor));
    }
    std::size_t length = std::size_t(prefix[8]) | std::size_t(prefix[9]) << 8;
    if (major > 1) length |= std::size_t(prefix[10]) << 16 | std::size_t(prefix[11]) << 24;
    if (length > file_size - prefix_size) {
        context.fail("the header length " + std::to_string(length) +
                     " goes beyond the end of the file (" + std::to_string(file_size) + " bytes)");
    }
    if (length > longest_header) {
        context.fail("the header of " + std::to_string(length) + " bytes is over the limit of " +
                     std::to_string(longest_header));
    }
    std::string text(length, '\0');
    if (read_at(file, text.data(), length, prefix_size, context) != length)
        context.fail("truncated header");

    Header header = HeaderParser(text, context).parse();
    header.data_offset = prefix_size + length;
    std::int64_t bytes = static_cast<std::int64_t>(size_of(header.dtype));
    bool is_empty = false;
    for (const std::int64_t extent : header.shape) {
        if (extent == 0) is_empty = true;
        if (extent != 0 && __builtin_mul_overflow(bytes, extent, &bytes)) {
            context.fail("shape " + to_string(header.shape) + " takes more than 2^63 - 1 bytes");
        }
    }
    const std::size_t wanted = is_empty ? 0 : static_cast<std::size_t>(bytes);
    const std::size_t present = file_size - header.data_offset;
    if (present < wanted) {
        context.fail("truncated data: " + std::to_string(wanted) + " bytes expected, " +
                     std::to_string(present) + " present");
    }
    if (present > wanted) {
        context.fail(std::to_string(present - wanted) + " bytes after the end of the data");
    }
    return header;
}

void swap_bytes(std::byte* data, std::size_t bytes, std::size_t width) {
    for (std::byte* at = data; at != data + bytes; at += width) std::reverse(at, at + width);
}

}  // namespace

Array load_npy(const std::string& path, Location where) {
    const Context context{"load", path, where};
    const File file(open_regular(context, O_RDONLY));
    const Header header = read_header(file, context);
    const Array result =
        empty(header.shape, header.dtype, header.fortran ? Order::fortran : Order::c, where);
    const auto bytes = static_cast<std::size_t>(result.nbytes());
    if (read_at(file, result.data(), bytes, header.data_offset, context) != bytes) {
        context.fail("the file became shorter while it was read");
    }
    if (header.big_endian) {
        swap_bytes(result.data(), bytes, result.item_size() / (is_complex(header.dtype) ? 2 : 1));
    }
    if (is_bool(header.dtype)) {  // a C++ bool must be 0 or 1
        std::for_each(result.data(), result.data() + bytes,
                      [](std::byte& b) { b = std::byte(b != std::byte(0)); });
    }
    return result;
}

Array map_npy(const std::string& path, MapMode mode, Location where) {
    const Context context{"map", path, where};
    const File file(open_regular(context, mode == MapMode::read_write ? O_RDWR : O_RDONLY));
    const Header header = read_header(file, context);
    if (header.big_endian && size_of(header.dtype) > 1) {
        context.fail("big-endian data cannot be mapped; load_npy converts them");
    }
    const auto bytes =
        static_cast<std::size_t>(element_count(header.shape)) * size_of(header.dtype);
    const std::size_t length = header.data_offset + bytes;
    void* const mapping =
        mmap(nullptr, length, mode == MapMode::read ? PROT_READ : PROT_READ | PROT_WRITE,
             mode == MapMode::copy_on_write ? MAP_PRIVATE : MAP_SHARED, file.get(), 0);
    if (mapping == MAP_FAILED) context.fail_errno();
    std::shared_ptr<void> owner(mapping, [length](void* start) { munmap(start, length); });
    const Shape strides = header.fortran
                              ? Array::f_strides(header.shape, size_of(header.dtype), where)
                              : Array::c_strides(header.shape, size_of(header.dtype), where);
    return Array::from_memory(static_cast<std::byte*>(mapping) + header.data_offset, header.dtype,
                              header.shape, strides, std::move(owner), mode != MapMode::read,
                              where);
}

namespace {

std::string header_text(const Array& array, bool fortran) {
    std::string shape = "(";
    for (int d = 0; d < array.rank(); ++d) {
        shape += std::to_string(array.extent(d));
        if (d + 1 < array.rank() || array.rank() == 1) shape += ',';
        if (d + 1 < array.rank()) shape += ' ';
    }
    const DTypeInfo& type = info(array.dtype());
    std::string text =
        std::string("{'descr': '") + (type.size == 1 ? '|' : '<') + std::string(type.npy) +
        "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': " + shape + "), }";
    // Version 1, which any reader takes: max_rank extents always fit its 65535 bytes. The data
    // begin at a multiple of 64.
    const std::size_t prefix_size = magic.size() + 4;
    text.append(63 - (prefix_size + text.size()) % 64, ' ');
    text += '\n';
    std::string result(magic);
    result += {'\x01', '\x00', static_cast<char>(text.size() & 0xff),
               static_cast<char>(text.size() >> 8)};
    return result + text;
}

bool write_all(const File& file, const void* data, std::size_t bytes) {
    const char* at = static_cast<const char*>(data);
    while (bytes > 0) {
        const ssize_t written = ::write(file.get(), at, bytes);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        at += written;
        bytes -= static_cast<std::size_t>(written);
    }
    return true;
}

}  // namespace

void save_npy(const std::string& path, const Array& array, bool fortran, Location where) {
    const Context context{"save", path, where};
    if (info(array.dtype()).npy.empty()) {
        context.fail("NumPy has no dtype for " + std::string(name(array.dtype())));
    }
    const Array here = array.to_host(where);
    const Array data = (fortran ? here.transpose() : here).contiguous(where);
    const std::string header = header_text(array, fortran);
    struct stat status{};
    if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
        context.fail("not a regular file");  // which the new file would replace
    // A name of its own for every call: threads may save to one path at the same time.
    static std::atomic<unsigned> counter{0};
    const std::string partial =
        path + "." + std::to_string(getpid()) + "-" + std::to_string(counter.fetch_add(1)) + ".tmp";
    File file(::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (file.get() < 0) context.fail_errno();
    const bool complete = write_all(file, header.data(), header.size()) &&
                          write_all(file, data.data(), static_cast<std::size_t>(data.nbytes())) &&
                          file.close() && std::rename(partial.c_str(), path.c_str()) == 0;
    if (!complete) {
        const int reason = errno;
        ::unlink(partial.c_str());
        errno = reason;
        context.fail_errno();
    }
}

}  // namespace kiln
