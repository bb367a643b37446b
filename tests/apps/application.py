"""What an application of the matrix is: how to start its server, and its workloads."""
import subprocess


class Application:
    """`title` for people; `packages`: Debian's, from which all of it comes; `bulk`: workloads that end by
    themselves, and so call run.prepared() before they begin; `space`: the server's host (a netns.Namespace),
    `service`: what start() made."""
    title = ""
    packages = ()
    bulk = ()

    def __init__(self, space):
        self.space, self.service = space, None

    def start(self, programs):
        """Starts the server on all addresses of its host; gives its port."""
        raise NotImplementedError

    def workloads(self):
        """{name: function of a Run}"""
        raise NotImplementedError

    def remove(self):
        if self.service:
            self.service.remove()

    def beside(self, words, **options):
        """A program's output, run at the server's host: not over the path."""
        return subprocess.run([*self.space.prefix, *map(str, words)], check=True, capture_output=True,
                              text=True, **options).stdout.strip()
