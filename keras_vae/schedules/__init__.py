"""Pure functions of the training step, for weights that change during training.

The weight of the KL term, a capacity, a temperature: each is a number that depends on the step
and on nothing else, so it can be drawn as a table, saved with the model and resumed exactly.
`get` turns a number, a short string or a config into one of them.
"""

from keras_vae.schedules.capacity import Capacity
from keras_vae.schedules.constant import Constant
from keras_vae.schedules.cyclical import Cyclical
from keras_vae.schedules.identifiers import get
from keras_vae.schedules.linear import Linear
from keras_vae.schedules.schedule import Schedule
from keras_vae.schedules.sigmoid import Sigmoid

__all__ = ["Capacity", "Constant", "Cyclical", "Linear", "Schedule", "Sigmoid", "get"]
