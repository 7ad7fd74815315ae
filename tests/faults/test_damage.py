"""Any single damaged file leads to the right result or to an error that names it, never to a traceback."""

import shutil

import pytest
from shop import complaint, run_whole

pytestmark = pytest.mark.slow


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(bytes(data))


def empty(path):
    path.write_bytes(b"")


def garbage(path):
    path.write_bytes(b"\xff\x00garbage\x80" * 50)


def remove(path):
    path.unlink()


DAMAGES = (cut, flip, empty, garbage, remove)
# No command reads these files: they are for people, or every command writes them again.
WRITTEN_ONLY = {"report.html", "summary.html", "summary.txt", "rejected.csv", "timing.json"}


def files_below(folder):
    return sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and path.stat().st_size and path.name not in WRITTEN_ONLY | {".lock"}
        if "tensorboard" not in path.parts
    )


def check(shop, warm, path, commands, expected, found):
    """Runs the commands on the damaged shop; appends every fault to `found`."""
    for command, arguments in commands:
        done = warm.run(command, *arguments, home=shop.home)
        wrong = complaint(done)
        # An export does not read the metrics, so damaged ones stay.
        if not wrong and done.returncode == 0 and command != "export":
            wrong = expected(shop)
        if not wrong and done.returncode and path.name not in done.stderr:
            wrong = f"does not name the file: {done.stderr.strip()[-300:]}"
        if wrong:
            found.append(f"{command} with {path}: {wrong}")


def damaged(shop, folder, tmp_path):
    """(copy of the shop, damaged file, name of the damage) for each file and damage."""
    for relative in files_below(folder):
        for number, damage in enumerate(DAMAGES):
            copy = shop.copy(tmp_path / f"{str(relative).replace('/', '-')}-{number}")
            path = copy.home / folder.relative_to(shop.home) / relative
            damage(path)
            yield copy, path, damage.__name__
            shutil.rmtree(copy.home)


def chosen(cases, most):
    """Every file with one of the damages in turn; with FAULTS=0 every file with every damage."""
    for number, case in enumerate(cases):
        if most > 1000 or number % len(DAMAGES) == (number // len(DAMAGES)) % len(DAMAGES):
            yield case


@pytest.fixture(scope="module")
def unfinished(fresh, warm, tmp_path_factory):
    """A run that was killed after its second epoch and has two checkpoints."""
    shop = fresh.copy(tmp_path_factory.mktemp("unfinished") / "shop")
    for at in range(40, 400, 10):
        done = warm.run("train", shop.flags, home=shop.home, kill_at=at)
        kept = list((shop.run / "checkpoints").glob("step-*"))
        if len(kept) >= 2 and not (shop.run / "metrics.json").exists():
            return shop
        assert done.returncode == -9, done.stderr
    pytest.fail("no moment with two checkpoints was found")


def test_a_damaged_unfinished_run(unfinished, trained, warm, most, tmp_path, record_property):
    found, count = [], 0

    def same(shop):
        return "" if shop.figures() == trained.figures() else "another result"

    for shop, path, _ in chosen(damaged(unfinished, unfinished.run, tmp_path), most):
        check(shop, warm, path, [("train", [shop.flags])], same, found)
        count += 1
    record_property("damaged", f"unfinished run: {count} files")
    assert found == []


def test_a_damaged_finished_run(trained, warm, most, tmp_path, record_property):
    found, count = [], 0

    def same(shop):
        return "" if shop.figures() == trained.figures() else "another result"

    for shop, path, _ in chosen(damaged(trained, trained.run, tmp_path), most):
        run = f"--run_dir={shop.run}"
        commands = [("evaluate", [run]), ("export", [run, f"--export_dir={shop.home / 'new'}"])]
        check(shop, warm, path, commands, same, found)
        count += 1
    record_property("damaged", f"finished run: {count} files")
    assert found == []


def test_a_damaged_prepared_folder(fresh, warm, most, tmp_path, record_property):
    shop = fresh.copy(tmp_path / "shop")
    prepared = shop.home / "prepared"
    run_whole(warm, shop, "prepare", shop.flags, "--output=prepared", "--num_shards=3")

    def command(shop):
        return "train", [shop.flags, "--flagfile=prepared/flags.txt"]

    whole = shop.copy(tmp_path / "whole")
    run_whole(warm, whole, "train", *command(whole)[1])
    found, count = [], 0

    def same(shop):
        return "" if shop.figures()[0] == whole.figures()[0] else "another result"

    for copy, path, _ in chosen(damaged(shop, prepared, tmp_path), most):
        if path.name == "flags.txt":
            continue  # the user may edit this file, so its content counts as given
        check(copy, warm, path, [command(copy)], same, found)
        count += 1
    record_property("damaged", f"prepared folder: {count} files")
    assert found == []


def test_a_damaged_cache(trained, fresh, warm, most, tmp_path, record_property):
    shop = trained.copy(tmp_path / "shop")
    shutil.rmtree(shop.run)
    cache = shop.home / shop.config.features.cache_dir
    found, count = [], 0

    def same(shop):
        return "" if shop.figures() == trained.figures() else "another result"

    for copy, path, _ in chosen(damaged(shop, cache, tmp_path), most):
        check(copy, warm, path, [("train", [copy.flags])], same, found)
        count += 1
    record_property("damaged", f"cache: {count} files")
    assert found == []
