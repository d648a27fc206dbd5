module maschinenraum.example/bench/peers/sumdb

go 1.24

require golang.org/x/mod v0.7.0
