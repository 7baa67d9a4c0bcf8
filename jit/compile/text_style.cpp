#include <kiln/text_style.h>

#include <utility>

namespace kiln {

static thread_local TextStyle current = TextStyle::plain;

TextsIn::TextsIn(TextStyle style) : before_(std::exchange(current, style)) {}
TextsIn::~TextsIn() { current = before_; }
TextStyle TextsIn::style() { return current; }

}  // namespace kiln
