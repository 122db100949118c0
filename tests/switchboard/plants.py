"""Blueprints that the switchboard's tests use."""

from models.blueprint import Blueprint
from models.load import load_blueprint

LINE = """
twin: Line_A
time: {unit: minutes}
seed: 42
variables: {mode: auto, count: 3, ratio: 0.5, open: true, recipe: {speed: 1}, table: [1, 2], anything: null}
resources:
  a: {capacity: 1, max_capacity: 3}
  b: {capacity: 1, max_capacity: 3}
  free: {capacity: 2}
services:
  turning: {normal: {mean: 4.0, sd: 0.5, min: 0}}
  milling: {constant: 5.0}
  sawing: {uniform: {low: 1, high: 2}}
  packing: {triangular: {low: 2, mode: 3, high: 6}}
arrivals:
  orders: {interarrival: {exponential: {mean: 6.0}}, flow: make}
flows:
  make:
    - process: {resource: a, service: turning}
    - process: {resource: b, service: milling}
  gate:
    - wait_for: {signal: go}
    - delay: 1
"""


def line() -> Blueprint:
    return load_blueprint(LINE)
