# %% [markdown]
# # A first variational autoencoder
#
# Two Keras models that end in distribution layers, one `VAE`, and the habits of `model.fit`.
# This file is a notebook in the percent format: open it in VS Code or Jupyter (with jupytext), or run it.

# %%
import os

import keras

import keras_vae
from keras_vae import datasets, layers

keras.utils.set_random_seed(0)
EPOCHS = int(os.environ.get("TUTORIAL_EPOCHS", "100"))

# %% [markdown]
# ## Data
# Handwritten digits of 8 x 8 pixels, embedded in scikit-learn. `load` gives batched `tf.data` sets.

# %%
data = datasets.load("digits", labels=False, batch_size=128, seed=0)
print(data.sizes, data.image_shape)

# %% [markdown]
# ## Model
# The encoder ends in the posterior q(z|x), the decoder in the likelihood p(x|z). Both are distributions: they
# know their `log_prob`, mean and samples.

# %%
latent_size = 8
encoder = keras.Sequential(
    [
        keras.Input(data.image_shape),
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(layers.IndependentNormal.params_size(latent_size)),
        layers.IndependentNormal(latent_size),
    ],
    name="encoder",
)
decoder = keras.Sequential(
    [
        keras.Input((latent_size,)),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(layers.IndependentBernoulli.params_size(data.image_shape)),
        layers.IndependentBernoulli(data.image_shape),
    ],
    name="decoder",
)
vae = keras_vae.VAE(encoder, decoder)
vae.compile(optimizer=keras.optimizers.Adam(2e-3))

# %% [markdown]
# ## Training
# The loss is the negative ELBO in nats: `reconstruction` + `kl`.

# %%
history = vae.fit(data.train, epochs=EPOCHS, validation_data=data.validation, verbose=0)
print({name: round(values[-1], 2) for name, values in history.history.items()})

# %% [markdown]
# ## What the model knows

# %%
x = next(iter(data.test))
q = vae.encode(x)
print("q(z|x):", q.batch_shape, q.event_shape)
print("ELBO per image:", float(vae.elbo(x, seed=0).numpy().mean()))
print("log p(x) per image:", float(vae.log_likelihood(x, num_samples=100, seed=0).numpy().mean()))
print("new digits:", vae.sample(16, seed=0, mean=True).shape)

# %% [markdown]
# ## Saving
# One file, no code in it.

# %%
vae.save("first_vae.keras")
again = keras.models.load_model("first_vae.keras")
print("equal:", bool(keras.ops.all(again.reconstruct(x) == vae.reconstruct(x))))
