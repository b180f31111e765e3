// Entering and leaving frames of a running template.
#ifndef FASTKV_TEXT_JINJA_FRAMES_H_
#define FASTKV_TEXT_JINJA_FRAMES_H_

#include "text/jinja/interpreter.h"

namespace fastkv::jinja {

// Makes a frame and switches the interpreter to it while it lives. Frames that macros may look into
// later live on the heap, all others end with the scope.
class Interpreter::FrameScope {
 public:
  explicit FrameScope(Interpreter* interpreter)
      : interpreter_(interpreter), previous_(interpreter->frame_) {}
  ~FrameScope() { interpreter_->frame_ = previous_; }
  FrameScope(const FrameScope&) = delete;
  FrameScope& operator=(const FrameScope&) = delete;

  // Must be called once. `outer` is the frame around the new one.
  Status Enter(uint32_t frame, RunningFrame* outer);
  // Gives all variables what they hold at the start again: the next round of a loop.
  void Restart() { interpreter_->Enter(frame_, running_); }
  // Switches back and forth between the new frame and the one before.
  void Resume() { interpreter_->frame_ = running_; }
  void Suspend() { interpreter_->frame_ = previous_; }

 private:
  Interpreter* interpreter_;
  RunningFrame* previous_;
  RunningFrame* running_ = nullptr;
  uint32_t frame_ = 0;
  RunningFrame local_;
};

// Counts levels of nesting: what bounds the machine's stack.
class Interpreter::Nesting {
 public:
  explicit Nesting(Interpreter* interpreter) : interpreter_(interpreter) { ++interpreter_->depth_; }
  ~Nesting() { --interpreter_->depth_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;
  Status Check() const;

 private:
  Interpreter* interpreter_;
};

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_FRAMES_H_
