# %% [markdown]
# # Structure in the latent
#
# A `StructuredVAE` has a graphical model for its prior, which takes part in recognition: the encoder gives
# evidence from one example, or one frame of it, and the graph adds what all data have in common. Here it
# finds clusters of points, and then the motion in a film, by which it predicts.
# This file is a notebook in the percent format: open it in VS Code or Jupyter (with jupytext), or run it.
# Both experiments are from Johnson et al., Composing graphical models with neural networks for structured
# representations and fast inference, 2016.

# %%
import os

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from sklearn.metrics import adjusted_rand_score

import keras_vae
from keras_vae import layers, plots, priors

tfd = tfp.distributions
keras.utils.set_random_seed(0)
EPOCHS = int(os.environ.get("TUTORIAL_EPOCHS", "100"))

# %% [markdown]
# ## A pinwheel
# Points of five bent arms. Which arm a point belongs to is kept for the end.

# %%
rng = np.random.default_rng(0)
arms = rng.integers(5, size=5000)
radius, offset = 1.0 + 0.3 * rng.normal(size=5000), 0.05 * rng.normal(size=5000)
angle = 2.0 * np.pi * arms / 5 + 0.25 * np.exp(radius)
points = np.stack(
    [
        radius * np.cos(angle) + offset * np.sin(angle),
        offset * np.cos(angle) - radius * np.sin(angle),
    ],
    axis=1,
)
points = (2.0 * points).astype("float32")

# %% [markdown]
# ## Networks
# The encoder ends in independent normals, its evidence about z. Both networks are the identity at first, plus
# what a small network adds: from random ones the arms would be mixed up before there are clusters.


# %%
def beside_identity(x):
    hidden = x
    for _ in range(2):
        hidden = keras.layers.Dense(40, activation="tanh")(hidden)
    small = keras.initializers.RandomNormal(stddev=0.01)
    return keras.layers.Add()([x, keras.layers.Dense(2, kernel_initializer=small)(hidden)]), hidden


x, z = keras.Input((2,)), keras.Input((2,))
loc, hidden = beside_identity(x)
raw_scale = keras.layers.Dense(2, bias_initializer=keras.initializers.Constant(-1.5))(hidden)
evidence = layers.IndependentNormal(2)(keras.layers.Concatenate()([loc, raw_scale]))
likelihood = layers.HomoscedasticNormal(2, scale=0.2, trainable_scale=True)(beside_identity(z)[0])
encoder, decoder = keras.Model(x, evidence), keras.Model(z, likelihood)

# %% [markdown]
# ## A mixture in the latent
# This prior has a posterior of its weights, means and covariances, which natural gradient steps improve while
# Adam trains the networks. `GaussianMixtureGraph` has plain weights instead, and Adam trains them too.
#
# Mixtures stay near where they begin, so let the means begin where k-means finds the codes' centres.

# %%
mixture = priors.BayesianGaussianMixtureGraph(
    2, 5, dataset_size=len(points), concentration=0.2, inference="mean-field", spread=2.0, scale=0.5
)
mixture.start_at(encoder(points).mean())
vae = keras_vae.StructuredVAE(encoder, decoder, mixture)

# %% [markdown]
# Large batches and steps that shrink to nothing: the noise of small ones would keep the components wide.

# %%
steps = EPOCHS * len(points) // 250
vae.compile(optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, steps)))
history = vae.fit(points, batch_size=250, epochs=EPOCHS, verbose=0)
print("loss:", round(history.history["loss"][-1], 3))

# %% [markdown]
# ## Clusters
# The posterior of z comes with that of the cluster. The adjusted Rand index with the true arms is 1 for the
# same clusters, 0 for none in common. k-means alone finds the arms of this pinwheel nearly as well. What it
# does not have is a density: in the picture of the codes the bent arms are nearly straight, as normals are,
# and samples from the five normals are a pinwheel again.

# %%
q = vae.encode(points)
clusters = np.argmax(mixture.responsibilities(q), axis=1)
print("clusters:", np.bincount(clusters, minlength=5))
print("adjusted Rand index:", round(adjusted_rand_score(arms, clusters), 3))
plots.save(plots.latent_map(points, labels=clusters, title="points, by the cluster found"), "pinwheel.png")
plots.save(plots.latent_map(q.mean(), labels=clusters, title="codes, by the cluster found"), "codes.png")
plots.save(plots.latent_map(vae.sample(2000, seed=0), title="samples"), "samples.png")

# %% [markdown]
# ## A bouncing dot
# Films of 40 frames, each a line of 20 pixels, in which a dot goes back and forth.

# %%
FRAMES, PIXELS, SIZE = 40, 20, 4


def films(count, rng):
    phase = rng.uniform(0.0, 2.0, size=(count, 1)) + 0.12 * np.arange(FRAMES)
    position = (PIXELS - 1) * np.abs(phase % 2.0 - 1.0)
    images = np.exp(-0.5 * np.square(np.arange(PIXELS) - position[..., None]))
    return (images + 0.05 * rng.normal(size=images.shape)).astype("float32"), position


train, _ = films(200, rng)
test, position = films(100, rng)

# %% [markdown]
# ## Dynamics in the latent
# The networks see single frames: `Dense` acts on the last dimension, so all that links the frames is the
# prior, z_t = A z_{t-1} + noise. `IndependentNormal` takes all means first, then all scales.

# %%
frames, codes = keras.Input((FRAMES, PIXELS)), keras.Input((FRAMES, SIZE))
hidden = frames
for _ in range(2):
    hidden = keras.layers.Dense(50, activation="tanh")(hidden)
heads = [keras.layers.Flatten()(keras.layers.Dense(SIZE)(hidden)) for _ in ("means", "scales")]
evidence = layers.IndependentNormal((FRAMES, SIZE))(keras.layers.Concatenate()(heads))
hidden = codes
for _ in range(2):
    hidden = keras.layers.Dense(50, activation="tanh")(hidden)
pixels = keras.layers.Flatten()(keras.layers.Dense(PIXELS)(hidden))
likelihood = layers.HomoscedasticNormal((FRAMES, PIXELS), scale=0.3, trainable_scale=True)(pixels)

system = priors.BayesianLinearDynamicalSystem((FRAMES, SIZE), dataset_size=len(train), noise=0.1)
film_vae = keras_vae.StructuredVAE(keras.Model(frames, evidence), keras.Model(codes, likelihood), system)
film_vae.compile(optimizer=keras.optimizers.Adam(3e-3))
film_vae.fit(train, batch_size=25, epochs=EPOCHS, verbose=0)

# %% [markdown]
# ## Prediction
# A frame that is not seen is evidence of nothing: a normal of infinite scale. The graph fills it in.
# Beside the error, in pixels, is that of a dot that stays where it was seen last.

# %%
seen = 20
seen_evidence = film_vae.encoder(test)
unseen = np.where(np.arange(FRAMES) < seen, 0.0, np.inf).astype("float32")[:, None]
prefix = tfd.Independent(tfd.Normal(seen_evidence.mean(), seen_evidence.stddev() + unseen), 2)
predicted = film_vae.decode(system.posterior(prefix).mean()).mean()
error = np.abs(np.argmax(predicted, axis=2) - position)[:, seen:].mean()
stays = np.abs(position[:, seen - 1 : seen] - position)[:, seen:].mean()
print(f"error of frames {seen + 1} to {FRAMES}: {error:.2f} pixels; of a dot that stays: {stays:.2f}")
turned = [tf.transpose(each, [0, 2, 1])[..., None] for each in (test, predicted)]  # time to the right
plots.save(plots.reconstructions(*turned, num=4, title="films, and their continuation"), "dots.png")
