import com.sun.source.tree.ClassTree;
import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.tree.MethodTree;
import com.sun.source.tree.Tree;
import com.sun.source.util.JavacTask;
import com.sun.source.util.TaskEvent;
import com.sun.source.util.TaskListener;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.tools.ForwardingJavaFileObject;
import javax.tools.JavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/**
 * javac, with two differences: a public class may be in a file of any name, and the class that
 * `java` is to start is found and written to {@value #LAUNCH}, as an argument file of `java`.
 *
 * <p>Arguments are the source files, the main file first. The class to start is the first one
 * with a method `main` at the top level of the first file that has one.
 */
public final class Compile {
    /** What `java @.launch` reads: the name of the class to start. */
    private static final String LAUNCH = ".launch";

    public static void main(String[] paths) throws IOException {
        var compiler = ToolProvider.getSystemJavaCompiler();
        var errors = new PrintWriter(System.err, true);
        boolean compiled;
        var launchable = new Launchable();
        try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null)) {
            var sources = new ArrayList<JavaFileObject>();
            files.getJavaFileObjects(paths).forEach(file -> sources.add(new AnyName(file)));
            var options = List.of("-d", ".", "-proc:none", "-Xlint:-options");
            var task = (JavacTask) compiler.getTask(errors, files, null, options, null, sources);
            task.addTaskListener(launchable);
            compiled = task.call();
        }
        if (compiled) {
            // Without one, `java` says so itself, in its own words.
            Files.writeString(Path.of(LAUNCH), launchable.name == null ? "Main" : launchable.name);
        }
        System.exit(compiled ? 0 : 1);
    }

    /** A source file in which a public class may have any name. */
    private static final class AnyName extends ForwardingJavaFileObject<JavaFileObject> {
        AnyName(JavaFileObject file) {
            super(file);
        }

        @Override
        public boolean isNameCompatible(String name, Kind kind) {
            return kind == Kind.SOURCE || super.isNameCompatible(name, kind);
        }
    }

    /** Watches the compiler read the files and remembers the first class with a `main`. */
    private static final class Launchable implements TaskListener {
        /** Its name with its package, or null. */
        String name;

        @Override
        public void finished(TaskEvent event) {
            if (event.getKind() == TaskEvent.Kind.PARSE && name == null) {
                name = in(event.getCompilationUnit());
            }
        }

        private static String in(CompilationUnitTree file) {
            var prefix = file.getPackageName() == null ? "" : file.getPackageName() + ".";
            for (Tree tree : file.getTypeDecls()) {
                if (tree instanceof ClassTree type && hasMain(type)) {
                    return prefix + type.getSimpleName();
                }
            }
            return null;
        }

        private static boolean hasMain(ClassTree type) {
            return type.getMembers().stream().anyMatch(member ->
                    member instanceof MethodTree method && method.getName().contentEquals("main"));
        }
    }
}
