"""The arithmetic of indicators: a pure kernel, and the step that carries each symbol's state forward."""
