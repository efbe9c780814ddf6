"""What benchmarks share: running cases side by side, saying what came out, and the bars they are fed with."""
