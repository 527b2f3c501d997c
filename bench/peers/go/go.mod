module aether.invalid/bench/peers

go 1.26
