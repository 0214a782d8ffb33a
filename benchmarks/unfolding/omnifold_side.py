"""The part of the package omnifold: unfold the arrays of a file. Runs in its environment.

Nothing of ours is imported here. The arrays are standardised, and have finite numbers in place of
those of events that fail a level, as the package asks for: it gives such events a weight of zero.
"""

import argparse
import json
import os
import pickle
import time
from pathlib import Path

STARTED = time.perf_counter()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arrays", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="folder of weights and history")
    parser.add_argument("--layers", type=int, nargs="+", required=True)
    parser.add_argument("--activation", choices=("gelu", "relu"), required=True)
    for name in ("iterations", "ensemble", "batch-size", "epochs", "patience", "threads", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--train-fraction", type=float, required=True)
    return parser.parse_args()


def histories(folder: Path) -> list[dict[str, object]]:
    """What each training kept: its name, and the loss of each epoch on the events kept apart."""
    found = []
    for path in sorted(folder.glob("*.pkl")):
        with path.open("rb") as file:
            # made by OmniFold in this very environment a moment before
            history = pickle.load(file)  # noqa: S301
        found.append({"training": path.stem, "val_loss": history["val_loss"]})
    return found


def main() -> None:
    chosen = arguments()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import numpy as np
    import tensorflow as tf
    from omnifold import MLP, DataLoader, MultiFold
    from omnifold.net import weighted_binary_crossentropy

    # Keras 3.15 copies a compiled model, as first trainings ask for, only if it knows the loss.
    keras.saving.register_keras_serializable(package="omnifold")(weighted_binary_crossentropy)
    tf.config.threading.set_intra_op_parallelism_threads(chosen.threads)
    tf.config.threading.set_inter_op_parallelism_threads(chosen.threads)
    tf.keras.utils.set_random_seed(chosen.seed)
    imported = time.perf_counter()
    with np.load(chosen.arrays) as arrays:
        simulation = DataLoader(
            reco=arrays["reco"],
            pass_reco=arrays["pass_reco"],
            gen=arrays["gen"],
            pass_gen=arrays["pass_gen"],
            weight=arrays["weight"],
        )
        data = DataLoader(reco=arrays["data"], weight=arrays["data_weight"])
    networks = [
        MLP(simulation.reco.shape[1], chosen.layers, activation=chosen.activation) for _ in range(2)
    ]
    chosen.output.mkdir(parents=True, exist_ok=True)
    unfolding = MultiFold(
        "comparison",
        *networks,
        data,
        simulation,
        weights_folder=str(chosen.output / "networks"),
        log_folder=str(chosen.output),
        niter=chosen.iterations,
        n_ensemble=chosen.ensemble,
        batch_size=chosen.batch_size,
        epochs=chosen.epochs,
        lr=chosen.learning_rate,
        early_stop=chosen.patience,
        train_frac=chosen.train_fraction,
    )
    began = time.perf_counter()
    unfolding.Unfold()
    ended = time.perf_counter()
    np.save(chosen.output / "weights.npy", unfolding.weights_push)
    content = {
        "import_s": imported - STARTED,
        "unfold_s": ended - began,
        "trainings": histories(chosen.output / "networks"),
    }
    (chosen.output / "history.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
